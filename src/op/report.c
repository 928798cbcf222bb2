/* A result as one page: what it is, its certificate, its picture, its members; nothing else is fetched. The
 * picture grows and moves by wheel, pointer, buttons and keys. */
#include <math.h>
#include <string.h>

#include "op/call.h"
#include "op/describe.h"
#include "plot/plot.h"

/* Members of no more values show them. */
enum { FEW = 12, WIDTH = 1200 };

#define ADD(...) LODE_TRY(lode_i_text_add(ctx, t, __VA_ARGS__))
#define PUT(text) LODE_TRY(lode_i_text_bytes(ctx, t, (text), strlen(text)))

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ground:#fff;--text:#1d2329;--soft:#4d5963;--line:#c9d1d9;--card:#f3f5f7}"
    "@media(prefers-color-scheme:dark){:root{--ground:#14181c;--text:#e6eaee;--soft:#a9b4be;--line:"
    "#3a444d;--card:#1f262c}"
    ".light{display:none}}@media(prefers-color-scheme:light){.dark{display:none}}"
    "*{box-sizing:border-box}body{margin:0 "
    "auto;max-width:76rem;padding:1rem;background:var(--ground);color:var(--text);"
    "font:16px/1.5 "
    "system-ui,sans-serif}h1{line-height:1.2}code,td.n{font-family:ui-monospace,monospace;font-"
    "size:.92em;"
    "overflow-wrap:anywhere}.scroll{overflow-x:auto}table{border-collapse:collapse}th,td{border:"
    "1px solid var(--line);padding:.3rem .6rem;"
    "text-align:left;vertical-align:top}.proof{background:var(--card);border-left:4px solid "
    "var(--line);padding:.6rem 1rem}"
    ".view{border:1px solid "
    "var(--line);overflow:hidden;touch-action:none}.view>div>svg{display:block;width:100%;height:"
    "auto}"
    "button{font:inherit;min-width:2.6rem;background:var(--card);color:var(--text);border:1px "
    "solid var(--line)}"
    ":focus-visible{outline:3px solid "
    "#2f81d6;outline-offset:2px}footer{color:var(--soft);margin-top:2rem}";

static const char script[] =
    "const v=document.querySelector('.view');if(v){const "
    "s=[...v.querySelectorAll(':scope>div>svg')],"
    "w=s[0].viewBox.baseVal,full=[w.x,w.y,w.width,w.height];let b=[...full],at=null;"
    "const show=()=>s.forEach(e=>e.setAttribute('viewBox',b.join(' ')));"
    "const zoom=(f,px=.5,py=.5)=>{const k=Math.min(1,Math.max(.02,b[2]*f/full[2]))*full[2]/b[2];"
    "b[0]+=b[2]*(1-k)*px;b[1]+=b[3]*(1-k)*py;b[2]*=k;b[3]*=k;move(0,0)};"
    "const move=(x,y)=>{for(const i "
    "of[0,1])b[i]=Math.min(full[i]+full[i+2]-b[i+2],Math.max(full[i],b[i]-[x,y][i]*b[i+2]));show()}"
    ";"
    "const whole=()=>{b=[...full];show()};"
    "v.addEventListener('wheel',e=>{e.preventDefault();const r=v.getBoundingClientRect();"
    "zoom(Math.exp(e.deltaY/400),(e.clientX-r.x)/r.width,(e.clientY-r.y)/"
    "r.height)},{passive:false});"
    "v.addEventListener('pointerdown',e=>{at=[e.clientX,e.clientY];v.setPointerCapture(e.pointerId)"
    "});"
    "v.addEventListener('pointermove',e=>{if(!at)return;const r=v.getBoundingClientRect();"
    "move((e.clientX-at[0])/r.width,(e.clientY-at[1])/r.height);at=[e.clientX,e.clientY]});"
    "v.addEventListener('pointerup',()=>at=null);v.addEventListener('dblclick',whole);"
    "const "
    "act={in:()=>zoom(.7),out:()=>zoom(1/"
    ".7),whole,left:()=>move(.1,0),right:()=>move(-.1,0),up:()=>move(0,.1),down:()=>move(0,-.1)};"
    "document.querySelectorAll('button[data-act]').forEach(e=>e.addEventListener('click',act[e."
    "dataset.act]));"
    "const "
    "key={'+':'in','=':'in','-':'out','0':'whole',ArrowLeft:'left',ArrowRight:'right',ArrowUp:'up',"
    "ArrowDown:'down'};"
    "v.addEventListener('keydown',e=>{if(key[e.key]){e.preventDefault();act[key[e.key]]()}})}";

/* Text between tags or in quotes. */
static lode_status put_text(lode_ctx *ctx, lode_text *t, const char *text)
{
    lode_status st = LODE_OK;
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "&<>\"");
        LODE_TRY(lode_i_text_bytes(ctx, t, p, n));
        p += n;
        if (*p)
            ADD("&#%d;", *p++);
    }
done:
    return st;
}

static lode_status put_form(lode_ctx *ctx, lode_text *t, lode_dtype dtype, int ndim,
                            const int64_t *shape)
{
    char text[512];
    lode_i_print_shape(ndim, shape, text, sizeof text);
    return lode_i_text_add(ctx, t, "%s%s%s", ndim ? text : "", ndim ? " " : "",
                           lode_dtype_name(dtype));
}

static lode_status put_row(lode_ctx *ctx, lode_text *t, const char *name, const char *text)
{
    lode_status st = LODE_OK;
    ADD("<tr><th scope=\"row\">%s</th><td><code>", name);
    LODE_TRY(put_text(ctx, t, text));
    PUT("</code></td></tr>\n");
done:
    return st;
}

/* The values of a real array of few. */
static lode_status put_values(lode_ctx *ctx, lode_text *t, const lode_array *a)
{
    lode_status st = LODE_OK;
    lode_array v = { 0 };
    if (lode_array_size(a) > FEW || strchr("cq", lode_dtype_class(a->dtype)))
        return LODE_OK;
    LODE_TRY(lode_array_cast(ctx, a, LODE_F64, &v));
    for (int64_t i = 0; i < lode_array_size(&v); i++)
        ADD("%s%.6g", i ? " " : "", ((const double *)v.data)[i]);
done:
    lode_array_free(&v);
    return st;
}

static lode_status put_member(lode_ctx *ctx, lode_text *t, const char *name, lode_value v)
{
    lode_status st = LODE_OK;
    PUT("<tr><th scope=\"row\"><code>");
    LODE_TRY(put_text(ctx, t, name));
    ADD("</code></th><td>%s</td><td>", lode_kind_name(v.kind));
    switch (v.kind) {
    case LODE_ARRAY:
        LODE_TRY(put_form(ctx, t, v.as.array->dtype, v.as.array->ndim, v.as.array->shape));
        break;
    case LODE_SOURCE:
        LODE_TRY(put_form(ctx, t, v.as.source->dtype, v.as.source->ndim, v.as.source->shape));
        break;
    case LODE_SPARSE:
        LODE_TRY(
            put_form(ctx, t, v.as.sparse->values.dtype, v.as.sparse->ndim, v.as.sparse->shape));
        ADD(", %" PRId64 " held", lode_sparse_nnz(v.as.sparse));
        break;
    case LODE_SCALAR: PUT(lode_dtype_name(v.as.scalar->dtype)); break;
    default: break;
    }
    PUT("</td><td class=\"n\">");
    if (v.kind == LODE_ARRAY)
        LODE_TRY(put_values(ctx, t, v.as.array));
    else if (v.kind == LODE_SCALAR && v.as.scalar->dtype == LODE_I64)
        ADD("%" PRId64, v.as.scalar->i);
    else if (v.kind == LODE_SCALAR && v.as.scalar->dtype == LODE_F64)
        ADD("%.8g", v.as.scalar->re);
    PUT("</td></tr>\n");
done:
    return st;
}

static lode_status put_figure(lode_ctx *ctx, lode_text *t, const lode_bundle *model,
                              lode_value original)
{
    lode_status st = LODE_OK;
    lode_figure *figure = NULL;
    char *text = NULL;
    LODE_TRY(lode_figure_new(ctx, &figure));
    LODE_TRY(lode_plot(ctx, model, original, figure));
    ADD("<h2>Picture</h2>\n<p><button data-act=\"in\" aria-label=\"larger\">+</button> <button "
        "data-act=\"out\" "
        "aria-label=\"smaller\">-</button> <button data-act=\"whole\">whole</button> or the wheel, "
        "the pointer, the keys + - 0 and "
        "arrows</p>\n<div class=\"view\" tabindex=\"0\" role=\"group\" aria-label=\"picture of the "
        "result\">\n");
    for (int dark = 0; dark < 2; dark++) {
        LODE_TRY(lode_i_figure_svg(ctx, figure, WIDTH, dark, &text));
        ADD("<div class=\"%s\">\n", dark ? "dark" : "light");
        PUT(text);
        PUT("</div>\n");
        lode_i_free(text);
        text = NULL;
    }
    PUT("</div>\n");
done:
    lode_i_free(text);
    lode_figure_free(&figure);
    return st;
}

static lode_status put_about(lode_ctx *ctx, lode_text *t, const lode_bundle *model)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &model->meta;
    lode_json *options = NULL;
    char *made = NULL, text[1024], flag[80];

    PUT("<h2>How it was made</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"how it was made\"><table>\n");
    LODE_TRY(lode_made_text(ctx, model, "RESULT", &made));
    if (made) {
        char *const second = strchr(made, '\n');
        if (second) {
            *second = 0;
            second[1 + strcspn(second + 1, "\n")] = 0;
            LODE_TRY(put_row(ctx, t, "command", made));
            LODE_TRY(put_row(ctx, t, "repeat", second + 1));
        }
    }
    snprintf(text, sizeof text, "lode %s, seed %" PRIu64, m->version, m->seed);
    LODE_TRY(put_row(ctx, t, "by", text));
    if (m->input_bytes) {
        snprintf(text, sizeof text, "%" PRIu64 " bytes", m->input_bytes);
        LODE_TRY(put_row(ctx, t, "input", text));
    }
    if (m->input_hash[0])
        LODE_TRY(put_row(ctx, t, "input hash", m->input_hash));
    if (m->options)
        LODE_TRY(lode_i_json_parse(ctx, m->options, strlen(m->options), &options));
    lode_json *value = NULL;
    for (int64_t i = 0; i < lode_i_json_count(options); i++) {
        const char *name = lode_i_json_key(options, i, &value);
        const char *word = lode_i_json_as_text(value);
        snprintf(text, sizeof text, "--%s", lode_i_dashed(name, flag, sizeof flag));
        if (word)
            LODE_TRY(put_row(ctx, t, text, word));
    }
    PUT("</table></div>\n");
done:
    lode_text_free(made);
    lode_i_json_free(options);
    return st;
}

static lode_status put_page(lode_ctx *ctx, lode_text *t, const lode_bundle *model,
                            lode_value original, const lode_op *op)
{
    lode_status st = LODE_OK;
    const lode_meta *m = &model->meta;
    char proof[512];
    ADD("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\">\n<title>%s - Lode</title>\n<style>",
        op->name);
    PUT(style);
    ADD("</style></head>\n<body><main>\n<h1>%s</h1>\n<p>", op->name);
    LODE_TRY(put_text(ctx, t, op->brief));
    PUT(".");
    if (m->has_shape) {
        PUT(" It stands for ");
        LODE_TRY(put_form(ctx, t, m->dtype, m->ndim, m->shape));
        PUT(".");
    }
    PUT("</p>\n");
    if (model->certificate.kind != LODE_CERT_NONE || model->certificate.note[0]) {
        lode_certificate_print(&model->certificate, proof, sizeof proof);
        PUT("<p class=\"proof\">");
        LODE_TRY(put_text(ctx, t, *proof ? proof : model->certificate.note));
        PUT("</p>\n");
    }
    if (op->plot)
        LODE_TRY(put_figure(ctx, t, model, original));
    PUT("<h2>Members</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"members\"><table>\n<thead><tr><th scope=\"col\">name</th>"
        "<th scope=\"col\">kind</th><th scope=\"col\">shape and type</th><th "
        "scope=\"col\">values</th></tr></thead><tbody>\n");
    for (int64_t i = 0; i < model->count; i++)
        LODE_TRY(put_member(ctx, t, lode_bundle_name(model, i), lode_bundle_value(model, i)));
    PUT("</tbody></table></div>\n");
    LODE_TRY(put_about(ctx, t, model));
    PUT("</main>\n<footer>Made by Lode; everything on this page is in it.</footer>\n<script>");
    PUT(script);
    PUT("</script></body></html>\n");
done:
    return st;
}

lode_status lode_report(lode_ctx *ctx, const lode_bundle *model, lode_value original,
                        const char *path, bool force)
{
    lode_status st = LODE_OK;
    lode_text text = { 0 };
    const lode_op *op = NULL;
    LODE_FORWARD(lode_i_op_of(ctx, model, &op));
    lode_i_begin(ctx, op->name);
    LODE_TRY(put_page(ctx, &text, model, original, op));
    LODE_TRY(lode_i_outfile_whole(ctx, path, force, text.text, text.size));
done:
    lode_i_text_free(&text);
    lode_i_end(ctx);
    return st;
}
