/* The registry: finding operations by name and by what they are about. */
#include <ctype.h>
#include <string.h>

#include "op/op.h"

static const lode_op *const *table(const lode_ctx *ctx)
{
    const lode_op *const *own = ctx ? lode_i_registry(ctx) : NULL;
    return own ? own : lode_i_builtin_ops;
}

int64_t lode_op_count(const lode_ctx *ctx)
{
    int64_t n = 0;
    for (const lode_op *const *op = table(ctx); *op; op++)
        n++;
    return n;
}

const lode_op *lode_op_at(const lode_ctx *ctx, int64_t i)
{
    return i >= 0 && i < lode_op_count(ctx) ? table(ctx)[i] : NULL;
}

const lode_op *lode_op_find(const lode_ctx *ctx, const char *name)
{
    for (const lode_op *const *op = table(ctx); *op; op++)
        if (strcmp((*op)->name, name) == 0)
            return *op;
    return NULL;
}

const char *lode_op_suggest(const lode_ctx *ctx, const char *name)
{
    const char *best = NULL;
    int least = 1 + (int)strlen(name) / 2; /* farther than this is another word */
    for (const lode_op *const *op = table(ctx); *op; op++) {
        const int d = lode_i_distance(name, (*op)->name);
        if (d < least)
            least = d, best = (*op)->name;
    }
    return best;
}

const char *lode_job_name(lode_job job)
{
    static const char *const name[] = { "shrink",  "explain", "complete", "compare",
                                        "predict", "sample",  "diagnose" };
    return (size_t)job < sizeof name / sizeof *name ? name[job] : "?";
}

/* Occurrences of the word in text that start at a word boundary; plural and other endings still
 * match. */
static int hits(const char *text, const char *word, size_t length)
{
    int n = 0;
    if (!text)
        return 0;
    for (const char *p = text; *p; p++) {
        const bool start = p == text || !isalnum((unsigned char)p[-1]);
        size_t i = 0;
        while (start && i < length && p[i] &&
               tolower((unsigned char)p[i]) == tolower((unsigned char)word[i]))
            i++;
        n += start && i == length;
    }
    return n;
}

/* Weight of a word in one op: its name counts most, then the brief, then everything said about
 * it. */
static double score_word(const lode_op *op, const char *word, size_t length)
{
    double score = 8.0 * hits(op->name, word, length) + 4.0 * hits(op->words, word, length) +
                   4.0 * hits(op->brief, word, length) +
                   2.0 * hits(lode_job_name(op->job), word, length) +
                   2.0 * hits(op->family, word, length);
    for (const lode_param *p = op->params; p->name; p++)
        score += hits(p->name, word, length) + 0.5 * hits(p->help, word, length) +
                 hits(p->choices, word, length);
    for (const lode_port *p = op->in; p->name; p++)
        score += 0.5 * hits(p->help, word, length);
    for (const lode_port *p = op->out; p->name; p++)
        score += 0.5 * hits(p->help, word, length);
    return score;
}

int64_t lode_op_search(const lode_ctx *ctx, const char *words, const lode_op **found, int64_t max)
{
    enum { MOST = 256 };
    double score[MOST] = { 0 };
    const lode_op *const *ops = table(ctx);
    const int64_t count = lode_i_min(lode_op_count(ctx), MOST);
    for (const char *p = words; *p;) {
        size_t length = 0;
        while (p[length] && (isalnum((unsigned char)p[length]) || p[length] == '-'))
            length++;
        /* A word that most ops mention tells little: divide by how many do. Endings are cut from
         * long words. */
        const size_t stem = length > 5 ? length - (p[length - 1] == 's' ? 1 : 0) : length;
        double each[MOST] = { 0 };
        int64_t with = 0;
        for (int64_t i = 0; stem > 2 && i < count; i++)
            each[i] = score_word(ops[i], p, stem), with += each[i] > 0;
        for (int64_t i = 0; with > 0 && i < count; i++)
            score[i] += each[i] / (double)with;
        p += length + (p[length] != 0);
    }
    int64_t n = 0;
    while (n < max) {
        int64_t best = -1;
        for (int64_t i = 0; i < count; i++)
            if (score[i] > 0 && (best < 0 || score[i] > score[best]))
                best = i;
        if (best < 0)
            break;
        found[n++] = ops[best];
        score[best] = 0;
    }
    return n;
}
