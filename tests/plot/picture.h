/* What the tests of figures share: a figure with a heap and a folder, and reading pictures back
 * with libpng. */
#ifndef LODE_TESTS_PICTURE_H
#define LODE_TESTS_PICTURE_H

#include "fixture.h"

#include <math.h>
#include <png.h>

#include "plot/figure.h"

typedef struct bench {
    heap memory;
    lode_ctx context;
    lode_figure *figure;
    char folder[256];
} bench;

static inline int bench_setup(void **state)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    const lode_allocator a = heap_of(&b->memory);
    assert_int_equal(lode_ctx_init(&b->context, &a), LODE_OK);
    assert_ok(&b->context, lode_figure_new(&b->context, &b->figure));
    folder_make(b->folder);
    *state = b;
    return 0;
}

/* Whatever a test did, nothing may be left. */
static inline int bench_teardown(void **state)
{
    bench *b = *state;
    lode_figure_free(&b->figure);
    lode_ctx_free(&b->context);
    folder_remove(b->folder);
    assert_int_equal(b->memory.live, 0);
    free(b);
    return 0;
}

static inline lode_array vector(double *v, int64_t n)
{
    return lode_array_wrap(v, LODE_F64, 1, &n);
}
static inline lode_array matrix(double *v, int64_t rows, int64_t cols)
{
    return lode_array_wrap(v, LODE_F64, 2, (const int64_t[2]){ rows, cols });
}

static inline lode_panel *panel(bench *b, const char *title)
{
    lode_panel *p = NULL;
    assert_ok(&b->context,
              lode_i_panel(&b->context, b->figure, title, "time (s)", "height (m)", &p));
    return p;
}

static inline void place(const bench *b, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", b->folder, name);
}

/** The file's bytes, ended by a zero; the caller frees them. */
static inline char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    bytes[*size] = 0;
    fclose(f);
    return bytes;
}

typedef struct picture {
    int w, h;
    uint8_t *rgba;
} picture;

static inline picture picture_decode(const void *bytes, size_t size)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    assert_true(png_image_begin_read_from_memory(&image, bytes, size));
    image.format = PNG_FORMAT_RGBA;
    picture p = { (int)image.width, (int)image.height, malloc(PNG_IMAGE_SIZE(image)) };
    assert_non_null(p.rgba);
    assert_true(png_image_finish_read(&image, NULL, p.rgba, 0, NULL));
    return p;
}

static inline lode_rgba picture_at(const picture *p, double x, double y)
{
    const int i = (int)floor(x), j = (int)floor(y);
    assert_true(i >= 0 && i < p->w && j >= 0 && j < p->h);
    const uint8_t *c = p->rgba + 4 * ((size_t)j * (size_t)p->w + (size_t)i);
    return (lode_rgba){ c[0], c[1], c[2], c[3] };
}

static inline int apart(lode_rgba a, lode_rgba b)
{
    return abs(a.r - b.r) + abs(a.g - b.g) + abs(a.b - b.b);
}

/** Writes the figure as PNG and reads it back. */
static inline picture picture_of(bench *b, int width, bool dark)
{
    char path[512];
    size_t size;
    place(b, "figure.png", path);
    assert_ok(&b->context, lode_figure_write(&b->context, b->figure, path, width, dark, true));
    char *bytes = slurp(path, &size);
    const picture p = picture_decode(bytes, size);
    free(bytes);
    return p;
}

/** Writes the figure as SVG and reads its text. */
static inline char *svg_of(bench *b, int width, bool dark)
{
    char path[512];
    size_t size;
    place(b, "figure.svg", path);
    assert_ok(&b->context, lode_figure_write(&b->context, b->figure, path, width, dark, true));
    return slurp(path, &size);
}

#endif
