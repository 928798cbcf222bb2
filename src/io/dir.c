/* A directory as a container: one .npy file a member and lode.json, which lists them. It is written
 * last, so that a directory without it is known to be incomplete. */
#include "io/io.h"

#include <string.h>

enum { DESCRIPTION_MAX = 1 << 28 };

static lode_status join(lode_ctx *ctx, const char *folder, const char *name, const char *suffix,
                        lode_text *path)
{
    const size_t n = strlen(folder);
    path->size = 0;
    return lode_i_text_add(ctx, path, "%s%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/",
                           name, suffix);
}

/* Names become file names: nothing that leaves the directory or hides in it. */
static lode_status check_name(lode_ctx *ctx, lode_status status, const char *folder,
                              const char *name)
{
    if (!*name || *name == '.' || strchr(name, '/') || strlen(name) > 200)
        return lode_i_fail(ctx, status, "%s: '%.80s' cannot be the name of a file in a directory",
                           folder, name);
    return LODE_OK;
}

static lode_status add_file(lode_ctx *ctx, lode_file *f, const char *name)
{
    lode_status st = LODE_OK;
    lode_text path = { 0 };
    lode_infile *in = NULL;
    lode_i_member *m = NULL;
    LODE_TRY(check_name(ctx, LODE_EFORMAT, f->path, name));
    LODE_TRY(join(ctx, f->path, name, ".npy", &path));
    LODE_TRY(lode_i_infile_open(ctx, path.text, &in));
    LODE_TRY(lode_i_member_add(ctx, f, name, strlen(name), &m));
    LODE_TRY(lode_i_npy_member(ctx, in, path.text, 0, lode_i_infile_size(in), m));
done:
    lode_i_infile_close(in);
    lode_i_text_free(&path);
    return st;
}

static lode_status open_dir(lode_ctx *ctx, lode_file *f, const lode_read_opts *o)
{
    lode_status st = LODE_OK;
    lode_text path = { 0 };
    lode_infile *in = NULL;
    lode_json *root = NULL;
    void *text = NULL;
    (void)o;
    LODE_TRY(join(ctx, f->path, "lode.json", "", &path));
    LODE_REQUIRE(lode_i_path_exists(path.text), LODE_ENOENT,
                 "%s: no lode.json in it, which lists its members", f->path);
    LODE_TRY(lode_i_infile_open(ctx, path.text, &in));
    const uint64_t size = lode_i_infile_size(in);
    LODE_REQUIRE(size <= DESCRIPTION_MAX, LODE_EFORMAT, "%s of %" PRIu64 " bytes is no description",
                 path.text, size);
    LODE_TRY(lode_i_alloc(ctx, (size_t)size + 1, &text));
    LODE_TRY(lode_i_infile_read(ctx, in, 0, text, (size_t)size));
    LODE_TRY(lode_i_json_parse(ctx, text, (size_t)size, &root));
    const lode_json *list = lode_i_json_get(root, "members");
    for (int64_t i = 0; i < lode_i_json_count(list); i++) {
        const lode_json *one = lode_i_json_at(list, i), *parts = lode_i_json_get(one, "parts");
        const int64_t count = lode_i_json_count(parts);
        for (int64_t k = 0; k < lode_i_max(count, 1); k++) {
            const char *name = lode_i_json_as_text(
                lode_i_json_get(count > 0 ? lode_i_json_at(parts, k) : one, "name"));
            LODE_TRY(add_file(ctx, f, name ? name : ""));
        }
    }
    LODE_TRY(lode_i_undescribe(ctx, f, text, (size_t)size, false, true));
done:
    lode_i_json_free(root);
    lode_i_free(text);
    lode_i_infile_close(in);
    lode_i_text_free(&path);
    return st;
}

static lode_status write_file(lode_ctx *ctx, const char *path, const lode_i_output *out,
                              const lode_i_tensor *t, bool force)
{
    lode_status st = LODE_OK;
    lode_outfile *file = NULL;
    lode_text head = { 0 };
    lode_i_tensor a = *t;
    char descr[24];
    const bool text = out->items[t->item].value.kind == LODE_TEXT;
    if (text) { /* as in .npz */
        a.ndim = 0;
        if (a.bytes == 0)
            a.plain = "", a.bytes = 1;
        snprintf(descr, sizeof descr, "|S%" PRIu64, a.bytes);
    }
    LODE_TRY(lode_i_npy_print(ctx, text ? descr : NULL, a.dtype, a.ndim, a.shape, &head));
    LODE_TRY(lode_i_outfile_open(ctx, path, force, &file));
    LODE_TRY(lode_i_outfile_write(ctx, file, head.text, head.size));
    LODE_TRY(lode_i_tensor_emit(ctx, &a, lode_i_sink_outfile, file));
    LODE_TRY(lode_i_outfile_commit(ctx, &file));
done:
    lode_i_outfile_abandon(&file);
    lode_i_text_free(&head);
    return st;
}

static lode_status write_dir(lode_ctx *ctx, const char *folder, const lode_i_output *out,
                             bool force)
{
    lode_status st = LODE_OK;
    lode_i_tensors t = { 0 };
    lode_text path = { 0 };
    char *text = NULL;

    LODE_TRY(lode_i_flatten(ctx, out, false, &t));
    for (int64_t i = 0; i < t.count; i++)
        LODE_TRY(check_name(ctx, LODE_EUSAGE, folder, t.at[i].name));
    LODE_REQUIRE(force || !lode_i_path_exists(folder), LODE_EEXIST,
                 "%s exists; --force replaces its files", folder);
    LODE_TRY(lode_i_describe(ctx, out, &t, &text));
    LODE_TRY(lode_i_directory_make(ctx, folder));
    for (int64_t i = 0; i < t.count; i++) {
        LODE_TRY(join(ctx, folder, t.at[i].name, ".npy", &path));
        LODE_TRY(write_file(ctx, path.text, out, &t.at[i], force));
    }
    LODE_TRY(join(ctx, folder, "lode.json", "", &path));
    LODE_TRY(lode_i_outfile_whole(ctx, path.text, force, text, strlen(text)));
done:
    lode_i_text_free(&path);
    lode_i_tensors_free(&t);
    lode_i_free(text);
    return st;
}

const lode_i_format lode_i_format_dir = {
    .name = "dir",
    .suffixes = "/",
    .many = true,
    .results = true,
    .by_path = true,
    .open = open_dir,
    .write = write_dir,
};
