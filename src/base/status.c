/* Names, texts and exit statuses, from the one list. */
#include "base/base.h"

typedef struct row {
    lode_status status;
    int exit;
    const char *name, *text;
} row;

static const row rows[] = {
#define LODE_STATUS(name, value, exit, text) { name, exit, #name, text },
#include "lode/status.def"
#undef LODE_STATUS
};

static const row *find(lode_status st)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == st)
            return &rows[i];
    return NULL;
}

const char *lode_status_name(lode_status st)
{
    const row *r = find(st);
    return r ? r->name : "LODE_UNKNOWN";
}

const char *lode_status_text(lode_status st)
{
    const row *r = find(st);
    return r ? r->text : "unknown status";
}

int lode_status_exit(lode_status st)
{
    const row *r = find(st);
    return r ? r->exit : 1;
}

const char *lode_version(void)
{
    return LODE_VERSION;
}

lode_status lode_i_worse(lode_status a, lode_status b)
{
    if (a < 0)
        return a;
    if (b < 0)
        return b;
    return a > b ? a : b;
}
