/* FITS images (version 4.0 of the standard, 2018): every unit of the file that holds an array is a
 * member, under its EXTNAME or hduN. Values are big-endian, first axis fastest, so the shape reads
 * from the last axis to the first, as other programs give it. BSCALE and BZERO are applied; where they
 * only turn signed integers into unsigned ones, the values stay integers. BLANK is NaN. */
#include "io/io.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD = 2880, CARD = 80, NAXIS_MAX = 999 };

typedef struct units {
    int64_t count, room;
    lode_i_stored *at; /* how each member is stored, by its id */
} units;

/* What a header says of its array. */
typedef struct unit {
    char kind[16], name[72]; /* XTENSION: "" in the first unit; EXTNAME */
    bool groups, packed, scaled;
    int64_t bitpix, naxis, pcount, gcount, blank;
    bool has_blank;
    double scale, zero;
    int64_t size[LODE_MAX_NDIM]; /* NAXIS1 first */
    double total;                /* values */
    lode_json *cards;            /* all others */
} unit;

static bool sniff(const unsigned char *head, size_t size)
{
    return size >= 10 && memcmp(head, "SIMPLE  = ", 10) == 0;
}

/* Text in quotes, with quotes inside twice, without the blanks at its end. */
static void quoted(const char *from, char *to, size_t room)
{
    size_t n = 0;
    for (from++; *from && (*from != '\'' || from[1] == '\''); from++) {
        from += *from == '\'';
        if (n + 1 < room)
            to[n++] = *from;
    }
    while (n > 0 && to[n - 1] == ' ')
        n--;
    to[n] = '\0';
}

/* The value of a card as text without its comment; quotes stay. */
static void value_of(const char *card, char value[CARD])
{
    const char *p = card + 10;
    size_t n = 0;
    p += strspn(p, " ");
    for (bool text = false; *p && (text || *p != '/'); p++) {
        text = *p == '\'' ? !text : text;
        value[n++] = *p;
    }
    while (n > 0 && value[n - 1] == ' ')
        n--;
    value[n] = '\0';
}

static lode_status keep_card(lode_ctx *ctx, unit *u, const char *key, const char *value)
{
    char text[CARD];
    double v = 0;
    int64_t i = 0;
    lode_json *j = NULL;
    if (*value == '\'') {
        quoted(value, text, sizeof text);
        j = lode_i_json_text(text);
    } else if (strcmp(value, "T") == 0 || strcmp(value, "F") == 0) {
        j = lode_i_json_bool(*value == 'T');
    } else if (lode_i_parse_i64(value, &i)) {
        j = lode_i_json_i64(i);
    } else if (lode_i_parse_f64(value, &v)) {
        j = lode_i_json_f64(v);
    } else {
        j = lode_i_json_text(value);
    }
    return lode_i_json_set(ctx, u->cards, key, j);
}

static lode_status read_card(lode_ctx *ctx, const lode_file *f, const char *card, unit *u)
{
    char key[9], value[CARD];
    int64_t v = 0;
    memcpy(key, card, 8);
    key[8] = '\0';
    for (int n = 8; n > 0 && key[n - 1] == ' ';)
        key[--n] = '\0';
    if (!*key || card[8] != '=' ||
        strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") < strlen(key))
        return LODE_OK; /* COMMENT, HISTORY and blanks */
    value_of(card, value);
    const bool whole = lode_i_parse_i64(value, &v);
    const struct {
        const char *key;
        int64_t *to;
    } numbers[] = { { "BITPIX", &u->bitpix },
                    { "NAXIS", &u->naxis },
                    { "PCOUNT", &u->pcount },
                    { "GCOUNT", &u->gcount },
                    { "BLANK", &u->blank } };
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (strcmp(key, numbers[k].key) == 0) {
            if (!whole)
                return lode_i_fail(ctx, LODE_EFORMAT, "%s: %s is '%s', no whole number", f->path,
                                   key, value);
            *numbers[k].to = v;
            u->has_blank = u->has_blank || k == 4;
            return LODE_OK;
        }
    if (strncmp(key, "NAXIS", 5) == 0 && lode_i_parse_i64(key + 5, &(int64_t){ 0 })) {
        const int64_t axis = strtoll(key + 5, NULL, 10);
        if (!whole || v < 0)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: %s is '%s', no size", f->path, key, value);
        if (axis >= 1 && axis <= LODE_MAX_NDIM)
            u->size[axis - 1] = v;
        return LODE_OK;
    }
    if (strcmp(key, "BSCALE") == 0 || strcmp(key, "BZERO") == 0) {
        for (char *p = value; *p; p++) /* D is an exponent in Fortran */
            *p = *p == 'D' || *p == 'd' ? 'E' : *p;
        if (!lode_i_parse_f64(value, key[1] == 'S' ? &u->scale : &u->zero))
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: %s is '%s', no number", f->path, key, value);
        return LODE_OK;
    }
    u->groups = u->groups || (strcmp(key, "GROUPS") == 0 && *value == 'T');
    u->packed = u->packed || (strcmp(key, "ZIMAGE") == 0 && *value == 'T');
    if (strcmp(key, "XTENSION") == 0 && *value == '\'')
        quoted(value, u->kind, sizeof u->kind);
    else if (strcmp(key, "EXTNAME") == 0 && *value == '\'')
        quoted(value, u->name, sizeof u->name);
    for (char *p = u->name; *p; p++)
        *p = *p < ' ' || *p > '~' ? '_' : *p;
    if (strcmp(key, "SIMPLE") == 0 || strcmp(key, "EXTEND") == 0 || strcmp(key, "XTENSION") == 0)
        return LODE_OK;
    return keep_card(ctx, u, key, value);
}

/* The header that begins at *at, up to where its data begin. */
static lode_status read_header(lode_ctx *ctx, const lode_file *f, uint64_t *at, unit *u)
{
    char record[RECORD + 1], card[CARD + 1];
    const uint64_t size = lode_i_infile_size(f->in);
    for (bool end = false, first = true; !end; first = false) {
        if (size - *at < RECORD)
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s breaks off in a header, at byte %" PRIu64 ": no END card",
                               f->path, *at);
        LODE_FORWARD(lode_i_infile_read(ctx, f->in, *at, record, RECORD));
        LODE_FORWARD(lode_i_cancelled(ctx));
        record[RECORD] = '\0';
        if (strlen(record) < RECORD)
            return lode_i_fail(ctx, LODE_EFORMAT, "%s: the header at byte %" PRIu64 " holds zeros",
                               f->path, *at);
        if (first && strncmp(record, *at ? "XTENSION" : "SIMPLE  ", 8) != 0)
            return lode_i_fail(ctx, LODE_EFORMAT,
                               "%s: at byte %" PRIu64 " stands no header of FITS", f->path, *at);
        *at += RECORD;
        for (int i = 0; i < RECORD && !end; i += CARD) {
            memcpy(card, record + i, CARD);
            card[CARD] = '\0';
            end = strncmp(card, "END     ", 8) == 0;
            if (!end)
                LODE_FORWARD(read_card(ctx, f, card, u));
        }
    }
    return LODE_OK;
}

static bool stored_type(int64_t bitpix, lode_dtype *dtype)
{
    static const struct {
        int64_t bitpix;
        lode_dtype dtype;
    } types[] = { { 8, LODE_U8 },   { 16, LODE_I16 },  { 32, LODE_I32 },
                  { 64, LODE_I64 }, { -32, LODE_F32 }, { -64, LODE_F64 } };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].bitpix == bitpix) {
            *dtype = types[i].dtype;
            return true;
        }
    return false;
}

/* The type that values have, and how they follow from what is stored. */
static lode_dtype value_type(const unit *u, lode_dtype stored, lode_i_stored *s)
{
    static const lode_dtype other[][2] = {
        { LODE_U8, LODE_I8 }, { LODE_I16, LODE_U16 }, { LODE_I32, LODE_U32 }, { LODE_I64, LODE_U64 }
    };
    const bool whole = u->bitpix > 0;
    const double half = u->bitpix == 8 ? -128
                        : whole        ? (double)(UINT64_C(1) << (u->bitpix - 1))
                                       : 0;
    *s = (lode_i_stored){ .dtype = stored,
                          .slope = u->scale,
                          .inter = u->zero,
                          .blank = u->blank,
                          .has_blank = whole && u->has_blank };
    if (u->scale == 1 && u->zero == 0 && !s->has_blank)
        return stored;
    for (size_t i = 0; i < 4 && !s->has_blank; i++)
        if (other[i][0] == stored && u->scale == 1 && u->zero == half) {
            s->flip = true, s->inter = 0;
            return other[i][1];
        }
    return u->bitpix == 8 || u->bitpix == 16 || u->bitpix == -32 ? LODE_F32 : LODE_F64;
}

/* Lists a unit whose data begin at `at`; bytes: what they take. */
static lode_status add_unit(lode_ctx *ctx, lode_file *f, int64_t number, uint64_t at, const unit *u,
                            uint64_t *bytes)
{
    lode_status st = LODE_OK;
    units *all = f->state;
    lode_i_member *m = NULL;
    char name[100];
    lode_dtype stored = LODE_U8;
    int64_t values = u->naxis > 0;
    LODE_REQUIRE(stored_type(u->bitpix, &stored), LODE_EFORMAT,
                 "%s: unit %" PRId64 " has BITPIX %" PRId64
                 "; 8, 16, 32, 64, -32 and -64 are known",
                 f->path, number, u->bitpix);
    LODE_REQUIRE(u->naxis >= 0 && u->naxis <= NAXIS_MAX && u->pcount >= 0 && u->gcount >= 0,
                 LODE_EFORMAT,
                 "%s: unit %" PRId64 " has NAXIS %" PRId64 ", PCOUNT %" PRId64 ", GCOUNT %" PRId64,
                 f->path, number, u->naxis, u->pcount, u->gcount);
    LODE_REQUIRE(u->naxis <= LODE_MAX_NDIM, LODE_EUNSUPPORTED,
                 "%s: unit %" PRId64 " has %" PRId64 " axes; at most %d are read", f->path, number,
                 u->naxis, LODE_MAX_NDIM);
    const bool groups = u->groups && u->naxis > 0 && u->size[0] == 0;
    bool fits = true;
    for (int64_t k = groups ? 1 : 0; k < u->naxis; k++)
        fits = fits && lode_i_mul(values, u->size[k], &values);
    fits = fits && lode_i_add(values, u->pcount, &values) &&
           lode_i_mul(values, u->gcount, &values) &&
           lode_i_mul(values, (int64_t)lode_dtype_size(stored), &values);
    const uint64_t left = lode_i_infile_size(f->in) - at;
    LODE_REQUIRE(fits && (uint64_t)values <= left, LODE_EFORMAT,
                 "%s: the data of unit %" PRId64 " are cut off: %" PRIu64 " bytes are left",
                 f->path, number, left);
    *bytes = (uint64_t)values;
    if (u->naxis == 0 || values == 0)
        goto done;
    if (*u->name)
        snprintf(name, sizeof name, "%s", u->name);
    if (!*u->name || lode_i_member_find(f, name))
        snprintf(name, sizeof name, "hdu%" PRId64, number);
    LODE_TRY(lode_i_member_add(ctx, f, name, strlen(name), &m));
    m->in = lode_i_infile_ref(f->in);
    m->id = all->count;
    m->ndim = (int32_t)u->naxis;
    for (int k = 0; k < m->ndim; k++)
        m->shape[k] = u->size[m->ndim - 1 - k];
    if ((*u->kind && strcmp(u->kind, "IMAGE") != 0) || groups || u->pcount || u->gcount != 1) {
        LODE_TRY(lode_i_member_refuse(ctx, m, stored, "unit %s is %s, and only images are read%s",
                                      name,
                                      u->packed ? "a packed image"
                                      : groups  ? "random groups"
                                                : "a table",
                                      u->packed ? "; unpack it with funpack" : ""));
        goto done;
    }
    m->offset = at, m->bytes = *bytes, m->swapped = true;
    if (all->count == all->room) {
        void *p = all->at;
        LODE_TRY(lode_i_realloc(ctx, (size_t)(2 * all->room + 4) * sizeof *all->at, &p));
        all->at = p, all->room = 2 * all->room + 4;
    }
    m->dtype = value_type(u, stored, &all->at[all->count++]);
done:
    return st;
}

/* {"variables": {NAME: {"attributes": cards}}}, as of other formats. */
static lode_status keep_cards(lode_ctx *ctx, lode_json *variables, const char *name, unit *u)
{
    lode_json *cards = u->cards, *one = lode_i_json_object();
    u->cards = NULL;
    lode_status st = lode_i_json_set(ctx, one, "attributes", cards);
    if (st >= 0)
        return lode_i_json_set(ctx, variables, name, one);
    lode_i_json_free(one);
    return st;
}

static lode_status open_fits(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_json *root = lode_i_json_object(), *variables = lode_i_json_object(), *given = NULL;
    unit u = { 0 };
    (void)o;
    LODE_TRY(lode_i_calloc(ctx, sizeof(units), &f->state));
    const uint64_t size = lode_i_infile_size(f->in);
    uint64_t at = 0, bytes = 0;
    for (int64_t number = 0; at < size; number++) {
        const int64_t before = f->count;
        lode_i_json_free(u.cards);
        u = (unit){ .scale = 1, .gcount = 1, .cards = lode_i_json_object() };
        st = read_header(ctx, f, &at, &u);
        if (st == LODE_EFORMAT && number > 0 && f->count > 0 && size - at < RECORD) {
            st = LODE_OK; /* padding that some programs leave behind the last unit */
            break;
        }
        LODE_TRY(st);
        LODE_TRY(add_unit(ctx, f, number, at, &u, &bytes));
        if (f->count > before)
            LODE_TRY(keep_cards(ctx, variables, f->members[before].name, &u));
        at += bytes;
        at = size - at < (RECORD - bytes % RECORD) % RECORD
                 ? size /* the last one may lack its padding */
                 : at + (RECORD - bytes % RECORD) % RECORD;
    }
    given = variables, variables = NULL;
    LODE_TRY(lode_i_json_set(ctx, root, "variables", given));
    LODE_TRY(lode_i_json_print(ctx, root, 0, &f->head.meta.attributes));
done:
    lode_i_json_free(u.cards);
    lode_i_json_free(variables);
    lode_i_json_free(root);
    return st;
}

static lode_status read_fits(lode_ctx *ctx, const lode_file *f, const lode_i_member *m,
                             const int64_t *start, const int64_t *count, void *dst)
{
    return lode_i_stored_read(ctx, m, &((const units *)f->state)->at[m->id], start, count, dst);
}

static void close_fits(lode_file *f)
{
    units *all = f->state;
    if (all)
        lode_i_free(all->at);
    lode_i_free(all);
}

const lode_i_format lode_i_format_fits = {
    .name = "fits",
    .many = true,
    .mixed = true,
    .suffixes = ".fits .fit .fts",
    .concurrent = true,
    .sniff = sniff,
    .open = open_fits,
    .read = read_fits,
    .close = close_fits,
};
