/* Colours: themes, a palette that colour-blind readers can tell apart, and colour maps computed
 * along paths in Oklab (B. Ottosson 2020), where equal distances look equal. */
#include "plot/figure.h"

#include <math.h>

#define RGB(hex)                                                                                   \
    {                                                                                              \
        (uint8_t)((hex) >> 16), (uint8_t)((hex) >> 8 & 255), (uint8_t)((hex)&255), 255             \
    }

lode_theme lode_i_theme(bool dark)
{
    static const lode_theme light = { .paper = RGB(0xFFFFFF),
                                      .ink = RGB(0x1B1F24),
                                      .muted = RGB(0x535C66),
                                      .grid = RGB(0xE6E9ED),
                                      .frame = RGB(0x7A838D),
                                      .hatch = RGB(0xB4BBC3),
                                      .quiet = RGB(0x9AA2AB) };
    static const lode_theme night = { .paper = RGB(0x14181D),
                                      .ink = RGB(0xE8EDF2),
                                      .muted = RGB(0xA7B0BA),
                                      .grid = RGB(0x2A3038),
                                      .frame = RGB(0x7F8994),
                                      .hatch = RGB(0x4A535E),
                                      .quiet = RGB(0x6F7882),
                                      .dark = true };
    return dark ? night : light;
}

/* The set of Okabe and Ito (2008), ordered for contrast with the paper; yellow is left out on
 * white, and black becomes white at night. */
lode_rgba lode_i_palette(bool dark, int i)
{
    static const lode_rgba light[LODE_PALETTE] = { RGB(0x0072B2), RGB(0xD55E00), RGB(0x009E73),
                                                   RGB(0xCC79A7), RGB(0xE69F00), RGB(0x56B4E9),
                                                   RGB(0x000000) };
    static const lode_rgba night[LODE_PALETTE] = { RGB(0x56B4E9), RGB(0xE69F00), RGB(0x009E73),
                                                   RGB(0xCC79A7), RGB(0xF0E442), RGB(0xD55E00),
                                                   RGB(0xFFFFFF) };
    return (dark ? night : light)[i % LODE_PALETTE];
}

static double to_linear(double v)
{
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}
static double from_linear(double v)
{
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

void lode_i_oklab(lode_rgba c, double lab[3])
{
    const double r = to_linear(c.r / 255.0), g = to_linear(c.g / 255.0), b = to_linear(c.b / 255.0);
    const double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
    lab[0] = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s;
    lab[1] = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s;
    lab[2] = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s;
}

/* Linear sRGB; returns whether the screen can show it. */
static bool to_rgb(const double lab[3], double rgb[3])
{
    const double l = lab[0] + 0.3963377774 * lab[1] + 0.2158037573 * lab[2];
    const double m = lab[0] - 0.1055613458 * lab[1] - 0.0638541728 * lab[2];
    const double s = lab[0] - 0.0894841775 * lab[1] - 1.2914855480 * lab[2];
    const double l3 = l * l * l, m3 = m * m * m, s3 = s * s * s;
    rgb[0] = 4.0767416621 * l3 - 3.3077115913 * m3 + 0.2309699292 * s3;
    rgb[1] = -1.2684380046 * l3 + 2.6097574011 * m3 - 0.3413193965 * s3;
    rgb[2] = -0.0041960863 * l3 - 0.7034186147 * m3 + 1.7076147010 * s3;
    bool inside = true;
    for (int k = 0; k < 3; k++)
        inside = inside && rgb[k] >= 0 && rgb[k] <= 1;
    return inside;
}

/* Lightness, chroma, hue (degrees) to Oklab, with chroma lowered until the screen can show the
 * colour. */
static void fit(double lightness, double chroma, double hue, double lab[3], double rgb[3])
{
    const double angle = hue * 0.017453292519943295;
    double low = 0, high = chroma;
    for (int i = 0; i < 24; i++) {
        const double c = i == 0 ? chroma : 0.5 * (low + high);
        lab[0] = lightness, lab[1] = c * cos(angle), lab[2] = c * sin(angle);
        if (!to_rgb(lab, rgb))
            high = c;
        else if (i == 0)
            return;
        else
            low = c;
    }
    lab[1] = low * cos(angle), lab[2] = low * sin(angle);
    to_rgb(lab, rgb);
}

/* Sequential: violet through blue and green to yellow, lightness rising all the way, so that it
 * also reads in grey. Diverging: two arms from a near-white middle, equal in lightness, so that
 * neither sign looks larger. */
static void path(bool diverging, double t, double lab[3], double rgb[3])
{
    if (!diverging) {
        fit(0.23 + 0.71 * t, 0.115 + 0.06 * t, 302 - 196 * t, lab, rgb);
        return;
    }
    const double far = fabs(2 * t - 1);
    fit(0.975 - 0.545 * far, 0.17 * pow(far, 0.85), t < 0.5 ? 258 : 27, lab, rgb);
}

void lode_i_colormap(bool diverging, lode_rgba map[256])
{
    enum {
        /* the path is walked in fine steps, then cut into 255 of equal length in Oklab */
        FINE = 1024
    };
    double length[FINE + 1], last[3] = { 0 }, lab[3], rgb[3];
    length[0] = 0;
    for (int i = 0; i <= FINE; i++) {
        path(diverging, (double)i / FINE, lab, rgb);
        if (i > 0)
            length[i] = length[i - 1] + sqrt((lab[0] - last[0]) * (lab[0] - last[0]) +
                                             (lab[1] - last[1]) * (lab[1] - last[1]) +
                                             (lab[2] - last[2]) * (lab[2] - last[2]));
        last[0] = lab[0], last[1] = lab[1], last[2] = lab[2];
    }
    for (int k = 0, i = 0; k < 256; k++) {
        const double want = length[FINE] * k / 255;
        while (i < FINE - 1 && length[i + 1] < want)
            i++;
        const double step = length[i + 1] - length[i];
        path(diverging, (i + (step > 0 ? (want - length[i]) / step : 0)) / FINE, lab, rgb);
        uint8_t c[3];
        for (int j = 0; j < 3; j++)
            c[j] = (uint8_t)floor(255 * fmin(fmax(from_linear(fmax(rgb[j], 0)), 0), 1) + 0.5);
        map[k] = (lode_rgba){ c[0], c[1], c[2], 255 };
    }
}
