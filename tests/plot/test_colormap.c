/* Colours: even steps, readable in grey, told apart by colour-blind readers. */
#include "picture.h"

static double distance(lode_rgba a, lode_rgba b)
{
    double p[3], q[3];
    lode_i_oklab(a, p);
    lode_i_oklab(b, q);
    return sqrt((p[0] - q[0]) * (p[0] - q[0]) + (p[1] - q[1]) * (p[1] - q[1]) +
                (p[2] - q[2]) * (p[2] - q[2]));
}

/* Oklab's published check: white is (1, 0, 0), and sRGB red is (0.628, 0.225, 0.126). */
static void oklab_of_known_colours(void **state)
{
    (void)state;
    double lab[3];
    lode_i_oklab((lode_rgba){ 255, 255, 255, 255 }, lab);
    assert_near(lab[0], 1, 1e-3);
    assert_near(fabs(lab[1]) + fabs(lab[2]), 0, 1e-3);
    lode_i_oklab((lode_rgba){ 255, 0, 0, 255 }, lab);
    assert_near(lab[0], 0.628, 1e-3);
    assert_near(lab[1], 0.225, 1e-3);
    assert_near(lab[2], 0.126, 1e-3);
}

static void sequential_rises_in_even_steps(void **state)
{
    (void)state;
    lode_rgba map[256];
    lode_i_colormap(false, map);
    double last = -1, total = 0;
    for (int i = 0; i < 256; i += 5) { /* 8-bit rounding hides the lightness of single steps */
        double lab[3];
        lode_i_oklab(map[i], lab);
        assert_true(lab[0] > last);
        last = lab[0];
    }
    for (int i = 0; i + 15 < 256; i += 15)
        total += distance(map[i], map[i + 15]);
    for (int i = 0; i + 15 < 256;
         i += 15) /* chords of a curved path: a tenth leaves room for bends and rounding */
        assert_near(distance(map[i], map[i + 15]) * 17 / total, 1, 0.12);
    for (int i = 1; i < 256; i++)
        assert_true(apart(map[i], map[i - 1]) > 0);
}

static void diverging_treats_signs_alike(void **state)
{
    (void)state;
    lode_rgba map[256];
    double low[3], high[3];
    lode_i_colormap(true, map);
    for (int i = 0; i < 128; i++) {
        lode_i_oklab(map[i], low);
        lode_i_oklab(map[255 - i], high);
        assert_near(low[0], high[0], 0.02);
    }
    lode_i_oklab(map[0], low);
    lode_i_oklab(map[255], high);
    assert_true(low[2] < -0.1 && high[1] > 0.1 && high[2] > 0.03); /* blue, red */
    lode_i_oklab(map[128], low);
    assert_true(low[0] > 0.95 && fabs(low[1]) + fabs(low[2]) < 0.02); /* white */
}

static double linear(int v)
{
    const double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

static uint8_t screen(double v)
{
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return (uint8_t)(255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055) + 0.5);
}

/* What a protanope and a deuteranope see, after Vienot, Brettel and Mollon (1999), in linear
 * light. */
static lode_rgba as_seen(lode_rgba c, int kind)
{
    static const double m[2][3][3] = {
        { { 0.11238, 0.88762, 0 }, { 0.11238, 0.88762, 0 }, { 0.00401, -0.00401, 1 } },
        { { 0.29275, 0.70725, 0 }, { 0.29275, 0.70725, 0 }, { -0.02234, 0.02234, 1 } }
    };
    if (kind < 0)
        return c;
    const double v[3] = { linear(c.r), linear(c.g), linear(c.b) };
    uint8_t out[3];
    for (int i = 0; i < 3; i++)
        out[i] = screen(m[kind][i][0] * v[0] + m[kind][i][1] * v[1] + m[kind][i][2] * v[2]);
    return (lode_rgba){ out[0], out[1], out[2], 255 };
}

static void palette_is_told_apart(void **state)
{
    (void)state;
    for (int dark = 0; dark < 2; dark++)
        for (int kind = -1; kind < 2; kind++)
            for (int i = 0; i < LODE_PALETTE; i++) {
                const lode_rgba a = as_seen(lode_i_palette(dark, i), kind);
                assert_true(distance(a, lode_i_theme(dark).paper) > 0.2);
                for (int j = 0; j < i; j++) /* 0.02 is about what one can just see */
                    assert_true(distance(a, as_seen(lode_i_palette(dark, j), kind)) > 0.06);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oklab_of_known_colours),
        cmocka_unit_test(sequential_rises_in_even_steps),
        cmocka_unit_test(diverging_treats_signs_alike),
        cmocka_unit_test(palette_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
