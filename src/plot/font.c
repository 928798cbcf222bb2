/* A stroke font: each glyph is a few lines and curves, so text scales to any size and needs no font
 * file. Advance widths follow the common sans-serif fonts, so that text measured here fits in SVG
 * too. */
#include "plot/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Strokes in 1/100 em, baseline 0, x-height 50, capitals 70, descenders -20. M x y: move; L x y:
 *            line;
 * C x y x y x y: cubic curve; A x y rx ry: whole ellipse; D x y: dot. */
typedef struct glyph {
    uint32_t code;
    int advance;
    const char *strokes;
} glyph;

static const glyph ascii[] = {
    { ' ', 28, "" },
    { '!', 28, "M14 70 L14 20 D14 2" },
    { '"', 36, "M12 70 L12 50 M24 70 L24 50" },
    { '#', 56, "M14 0 L23 70 M33 0 L42 70 M5 47 L52 47 M4 23 L51 23" },
    { '$', 56,
      "M46 52 C44 61 38 65 28 65 C17 65 10 60 10 52 C10 43 17 39 28 36 C40 33 47 29 47 19 C47 9 39 "
      "5 28 5 "
      "C16 5 9 11 8 20 M28 75 L28 -6" },
    { '%', 89, "A22 53 13 17 A67 17 13 17 M64 70 L25 0" },
    { '&', 67,
      "M60 0 L22 47 C17 53 16 56 16 60 C16 66 21 70 28 70 C35 70 40 66 40 60 C40 51 31 46 22 40 "
      "C11 33 7 27 7 19 C7 8 15 0 26 0 C40 0 50 10 54 30" },
    { '\'', 19, "M10 70 L10 50" },
    { '(', 33, "M26 73 C7 50 7 4 26 -19" },
    { ')', 33, "M7 73 C26 50 26 4 7 -19" },
    { '*', 39, "M20 70 L20 46 M10 64 L30 52 M30 64 L10 52" },
    { '+', 58, "M29 55 L29 13 M8 34 L50 34" },
    { ',', 28, "M14 2 L14 -2 L11 -11" },
    { '-', 33, "M6 26 L27 26" },
    { '.', 28, "D14 2" },
    { '/', 28, "M3 -3 L25 73" },
    { '0', 56, "M28 70 C41 70 47 58 47 35 C47 12 41 0 28 0 C15 0 9 12 9 35 C9 58 15 70 28 70" },
    { '1', 56, "M13 57 C21 59 27 63 30 70 L30 0" },
    { '2', 56,
      "M9 51 C9 63 16 70 28 70 C39 70 47 63 47 52 C47 39 35 31 22 20 C14 13 10 8 8 0 L48 0" },
    { '3', 56,
      "M9 56 C11 65 18 70 27 70 C38 70 45 64 45 54 C45 44 38 38 27 38 L22 38 M27 38 C39 38 47 31 "
      "47 20 "
      "C47 7 38 0 27 0 C17 0 10 6 8 15" },
    { '4', 56, "M38 0 L38 70 L6 19 L51 19" },
    { '5', 56,
      "M44 70 L16 70 L11 36 C16 42 21 44 28 44 C39 44 47 35 47 22 C47 9 39 0 27 0 C17 0 10 6 8 "
      "15" },
    { '6', 56,
      "M45 57 C43 65 38 70 30 70 C15 70 9 55 9 32 C9 11 16 0 29 0 C40 0 47 9 47 22 C47 35 40 43 29 "
      "43 "
      "C18 43 10 35 9 25" },
    { '7', 56, "M8 70 L48 70 C35 53 24 28 21 0" },
    { '8', 56, "A28 54 16 16 A28 19 19 19" },
    { '9', 56,
      "M11 13 C13 5 18 0 26 0 C41 0 47 15 47 38 C47 59 40 70 27 70 C16 70 9 61 9 48 C9 35 16 27 27 "
      "27 "
      "C38 27 46 35 47 45" },
    { ':', 28, "D14 2 D14 48" },
    { ';', 28, "M14 2 L14 -2 L11 -11 D14 48" },
    { '<', 58, "M50 55 L8 34 L50 13" },
    { '=', 58, "M8 44 L50 44 M8 24 L50 24" },
    { '>', 58, "M8 55 L50 34 L8 13" },
    { '?', 56, "M9 53 C9 64 17 70 28 70 C39 70 47 64 47 54 C47 39 28 39 28 20 D28 2" },
    { '@', 102,
      "M66 27 C66 38 59 46 49 46 C39 46 31 37 31 26 C31 16 37 9 46 9 C57 9 65 18 67 32 L69 46 L65 "
      "18 "
      "C65 11 67 8 72 8 C84 8 94 21 94 36 C94 57 77 73 53 73 C27 73 8 53 8 26 C8 0 26 -18 53 -18 "
      "C65 -18 75 -15 83 -10" },
    { 'A', 67, "M5 0 L33 70 L62 0 M15 24 L52 24" },
    { 'B', 67,
      "M11 38 L36 38 C48 38 54 44 54 54 C54 64 48 70 36 70 L11 70 L11 0 L37 0 C51 0 59 7 59 19 "
      "C59 31 51 38 37 38" },
    { 'C', 72, "M64 50 C61 63 52 70 39 70 C21 70 9 56 9 35 C9 14 21 0 39 0 C52 0 62 8 65 22" },
    { 'D', 72, "M11 0 L11 70 L32 70 C53 70 64 57 64 35 C64 13 53 0 32 0 L11 0" },
    { 'E', 67, "M58 0 L11 0 L11 70 L57 70 M11 37 L54 37" },
    { 'F', 61, "M11 0 L11 70 L55 70 M11 36 L49 36" },
    { 'G', 78,
      "M67 52 C63 64 54 70 41 70 C21 70 9 56 9 35 C9 14 21 0 40 0 C52 0 62 4 69 12 L69 34 L42 34" },
    { 'H', 72, "M11 0 L11 70 M61 0 L61 70 M11 37 L61 37" },
    { 'I', 28, "M14 0 L14 70" },
    { 'J', 50, "M39 70 L39 20 C39 7 33 0 22 0 C11 0 6 7 5 19" },
    { 'K', 67, "M11 0 L11 70 M58 70 L11 25 M28 41 L62 0" },
    { 'L', 56, "M11 70 L11 0 L51 0" },
    { 'M', 83, "M11 0 L11 70 L42 5 L72 70 L72 0" },
    { 'N', 72, "M11 0 L11 70 L61 0 L61 70" },
    { 'O', 78, "M39 70 C57 70 70 56 70 35 C70 14 57 0 39 0 C21 0 8 14 8 35 C8 56 21 70 39 70" },
    { 'P', 67, "M11 0 L11 70 L38 70 C52 70 60 63 60 51 C60 39 52 32 38 32 L11 32" },
    { 'Q', 78,
      "M39 70 C57 70 70 56 70 35 C70 14 57 0 39 0 C21 0 8 14 8 35 C8 56 21 70 39 70 M47 17 L69 "
      "-4" },
    { 'R', 72,
      "M11 0 L11 70 L41 70 C55 70 63 64 63 53 C63 41 55 35 41 35 L11 35 M37 35 C47 32 51 24 65 0" },
    { 'S', 67,
      "M57 52 C55 64 46 70 33 70 C19 70 10 63 10 53 C10 41 20 38 34 35 C49 32 60 29 60 18 C60 7 49 "
      "0 35 0 "
      "C18 0 8 8 7 21" },
    { 'T', 61, "M4 70 L57 70 M31 70 L31 0" },
    { 'U', 72, "M11 70 L11 27 C11 9 20 0 36 0 C52 0 61 9 61 27 L61 70" },
    { 'V', 67, "M5 70 L33 0 L62 70" },
    { 'W', 94, "M4 70 L24 0 L47 68 L70 0 L90 70" },
    { 'X', 67, "M6 70 L61 0 M61 70 L6 0" },
    { 'Y', 67, "M5 70 L33 32 L62 70 M33 32 L33 0" },
    { 'Z', 61, "M6 70 L55 70 L5 0 L57 0" },
    { '[', 28, "M25 73 L10 73 L10 -19 L25 -19" },
    { '\\', 28, "M3 73 L25 -3" },
    { ']', 28, "M3 73 L18 73 L18 -19 L3 -19" },
    { '^', 47, "M7 38 L24 70 L40 38" },
    { '_', 56, "M0 -14 L56 -14" },
    { '`', 33, "M9 71 L20 59" },
    { 'a', 56,
      "M9 38 C12 46 18 50 27 50 C38 50 44 45 44 36 L44 11 C44 6 45 2 47 0 M44 30 C38 27 33 27 25 "
      "26 "
      "C14 25 7 21 7 13 C7 5 13 0 22 0 C34 0 44 8 44 20" },
    { 'b', 56,
      "M10 70 L10 0 M10 25 C10 40 18 50 28 50 C40 50 48 40 48 25 C48 10 40 0 28 0 C18 0 10 10 10 "
      "25" },
    { 'c', 50, "M45 36 C42 45 36 50 27 50 C15 50 7 40 7 25 C7 10 15 0 27 0 C36 0 43 6 46 16" },
    { 'd', 56,
      "M46 70 L46 0 M46 25 C46 40 38 50 28 50 C16 50 8 40 8 25 C8 10 16 0 28 0 C38 0 46 10 46 25" },
    { 'e', 56, "M8 27 L48 27 C48 41 40 50 28 50 C16 50 8 40 8 25 C8 9 16 0 29 0 C38 0 44 5 47 13" },
    { 'f', 28, "M26 69 C24 70 22 70 20 70 C14 70 11 66 11 59 L11 0 M2 50 L24 50" },
    { 'g', 56,
      "M46 50 L46 3 C46 -13 40 -20 27 -20 C18 -20 12 -17 9 -11 M46 26 C46 40 38 50 28 50 C16 50 8 "
      "40 8 26 "
      "C8 11 16 1 28 1 C38 1 46 11 46 26" },
    { 'h', 56, "M10 0 L10 70 M10 30 C10 42 18 50 29 50 C40 50 46 44 46 32 L46 0" },
    { 'i', 22, "M11 0 L11 50 D11 68" },
    { 'j', 22, "M11 50 L11 -8 C11 -17 7 -20 0 -20 D11 68" },
    { 'k', 50, "M10 0 L10 70 M43 50 L10 17 M23 30 L46 0" },
    { 'l', 22, "M11 0 L11 70" },
    { 'm', 83,
      "M10 0 L10 50 M10 31 C10 42 17 50 27 50 C37 50 42 44 42 33 L42 0 M42 31 C42 42 49 50 59 50 "
      "C69 50 74 44 74 33 L74 0" },
    { 'n', 56, "M10 0 L10 50 M10 30 C10 42 18 50 29 50 C40 50 46 44 46 32 L46 0" },
    { 'o', 56, "M28 50 C40 50 48 40 48 25 C48 10 40 0 28 0 C16 0 8 10 8 25 C8 40 16 50 28 50" },
    { 'p', 56,
      "M10 50 L10 -20 M10 25 C10 40 18 50 28 50 C40 50 48 40 48 25 C48 10 40 0 28 0 C18 0 10 10 10 "
      "25" },
    { 'q', 56,
      "M46 50 L46 -20 M46 25 C46 40 38 50 28 50 C16 50 8 40 8 25 C8 10 16 0 28 0 C38 0 46 10 46 "
      "25" },
    { 'r', 33, "M10 0 L10 50 M10 28 C10 42 17 51 31 49" },
    { 's', 50,
      "M42 38 C40 46 34 50 25 50 C14 50 8 45 8 37 C8 29 15 27 25 25 C37 23 44 20 44 12 C44 4 36 0 "
      "26 0 "
      "C15 0 8 5 6 14" },
    { 't', 28, "M12 64 L12 11 C12 4 15 0 21 0 L26 1 M2 50 L25 50" },
    { 'u', 56, "M10 50 L10 18 C10 6 16 0 27 0 C38 0 46 8 46 20 M46 50 L46 0" },
    { 'v', 50, "M5 50 L25 0 L45 50" },
    { 'w', 72, "M4 50 L19 0 L36 48 L53 0 L68 50" },
    { 'x', 50, "M6 50 L44 0 M44 50 L6 0" },
    { 'y', 50, "M5 50 L25 0 M45 50 L20 -12 C17 -19 14 -20 7 -20" },
    { 'z', 50, "M7 50 L43 50 L6 0 L45 0" },
    { '{', 33,
      "M27 73 C18 73 17 68 17 60 L17 40 C17 31 13 27 7 27 C13 27 17 23 17 14 L17 -6 C17 -14 18 -19 "
      "27 -19" },
    { '|', 26, "M13 73 L13 -19" },
    { '}', 33,
      "M6 73 C15 73 16 68 16 60 L16 40 C16 31 20 27 26 27 C20 27 16 23 16 14 L16 -6 C16 -14 15 -19 "
      "6 -19" },
    { '~', 58, "M7 30 C9 37 14 40 20 40 C29 40 30 29 39 29 C45 29 49 32 51 39" },
};

/* Signs that labels of measurements use. Anything else draws as a question mark. */
static const glyph signs[] = {
    { 0x00B0, 40, "A20 59 11 11" },
    { 0x00B1, 58, "M29 60 L29 24 M8 42 L50 42 M8 5 L50 5" },
    { 0x00B2, 33, "M5 57 C6 66 10 70 16 70 C23 70 27 66 27 60 C27 51 9 46 5 32 L28 32" },
    { 0x00B3, 33,
      "M5 62 C7 67 11 70 16 70 C22 70 26 67 26 62 C26 56 21 52 13 52 M16 52 C23 52 27 48 27 42 "
      "C27 36 22 32 16 32 C10 32 6 35 5 40" },
    { 0x00B5, 58, "M10 50 L10 -20 M10 18 C10 6 16 0 27 0 C38 0 46 8 46 20 M46 50 L46 0" },
    { 0x00B7, 28, "D14 28" },
    { 0x00D7, 58, "M13 50 L45 18 M45 50 L13 18" },
    { 0x0394, 67, "M5 0 L33 70 L62 0 L5 0" },
    { 0x03A3, 62, "M55 70 L9 70 L34 36 L8 0 L57 0" },
    { 0x03A9, 75,
      "M6 0 L26 0 L26 4 C15 10 9 22 9 38 C9 58 20 70 37 70 C54 70 66 58 66 38 C66 22 60 10 48 4 "
      "L48 0 "
      "L69 0" },
    { 0x03B1, 58,
      "M50 50 C45 20 36 0 24 0 C14 0 8 10 8 25 C8 40 15 50 25 50 C37 50 42 32 44 18 C45 8 47 0 53 "
      "0" },
    { 0x03B2, 57,
      "M10 -20 L10 52 C10 64 17 70 27 70 C37 70 44 64 44 54 C44 44 36 38 26 38 M28 38 C40 38 48 31 "
      "48 20 "
      "C48 8 40 0 29 0 C20 0 14 4 10 10" },
    { 0x03B3, 50, "M4 50 C16 50 20 24 25 -2 M46 50 L25 -2 L25 -20" },
    { 0x03B5, 46,
      "M41 41 C38 47 32 50 25 50 C15 50 9 45 9 38 C9 31 15 27 24 27 L28 27 M24 27 C13 27 7 21 7 14 "
      "C7 5 14 0 25 0 C33 0 39 4 42 11" },
    { 0x03B8, 56, "A28 35 20 35 M8 36 L48 36" },
    { 0x03BA, 50, "M10 0 L10 50 M42 50 L10 20 M22 31 L45 0" },
    { 0x03BB, 50, "M7 70 C17 71 20 64 23 54 L44 0 M27 43 L6 0" },
    { 0x03BC, 58, "M10 50 L10 -20 M10 18 C10 6 16 0 27 0 C38 0 46 8 46 20 M46 50 L46 0" },
    { 0x03C0, 60, "M4 50 L56 50 M18 50 L18 0 M41 50 L41 8 C41 3 44 0 50 0" },
    { 0x03C1, 56,
      "M9 -20 L9 25 C9 40 17 50 28 50 C40 50 48 40 48 25 C48 10 40 0 28 0 C19 0 12 6 9 14" },
    { 0x03C3, 60,
      "M56 50 L28 50 C16 50 8 40 8 25 C8 10 16 0 28 0 C40 0 47 9 47 24 C47 38 40 47 30 50" },
    { 0x03C4, 44, "M4 50 L41 50 M22 50 L22 12 C22 4 25 0 33 1" },
    { 0x03C6, 64, "A32 25 25 25 M32 70 L32 -20" },
    { 0x03C9, 76,
      "M20 50 C11 44 7 34 7 22 C7 8 13 0 22 0 C32 0 38 8 38 24 C38 8 44 0 54 0 C63 0 69 8 69 22 "
      "C69 34 65 44 56 50" },
    { 0x2013, 56, "M2 26 L54 26" },
    { 0x2014, 100, "M2 26 L98 26" },
    { 0x2016, 38, "M12 73 L12 -19 M26 73 L26 -19" },
    { 0x2026, 100, "D17 2 D50 2 D83 2" },
    { 0x207B, 33, "M6 51 L27 51" },
    { 0x2192, 100, "M8 34 L92 34 M74 50 L92 34 L74 18" },
    { 0x2212, 58, "M8 34 L50 34" },
    { 0x2248, 58,
      "M7 42 C9 49 14 52 20 52 C29 52 30 41 39 41 C45 41 49 44 51 51 M7 21 C9 28 14 31 20 31 "
      "C29 31 30 20 39 20 C45 20 49 23 51 30" },
    { 0x2264, 58, "M50 64 L8 43 L50 22 M8 5 L50 5" },
    { 0x2265, 58, "M8 64 L50 43 L8 22 M8 5 L50 5" },
};

/* Decodes as Unicode demands: overlong forms, surrogates and stray bytes are errors of one byte
 * each. */
uint32_t lode_i_utf8_next(const char **text)
{
    const unsigned char *t = (const unsigned char *)*text;
    if (t[0] == 0)
        return 0;
    const int more = t[0] < 0x80   ? 0
                     : t[0] < 0xC2 ? -1
                     : t[0] < 0xE0 ? 1
                     : t[0] < 0xF0 ? 2
                     : t[0] < 0xF5 ? 3
                                   : -1;
    if (more <= 0) {
        *text += 1;
        return more == 0 ? t[0] : 0xFFFD;
    }
    uint32_t code = t[0] & (0x3FU >> more);
    for (int i = 1; i <= more; i++) {
        if ((t[i] & 0xC0) != 0x80) {
            *text += 1;
            return 0xFFFD;
        }
        code = code << 6 | (t[i] & 0x3FU);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10FFFF)) ||
        (code >= 0xD800 && code < 0xE000)) {
        *text += 1;
        return 0xFFFD;
    }
    *text += more + 1;
    return code;
}

static const glyph *find(uint32_t code)
{
    if (code >= ' ' && code <= '~')
        return &ascii[code - ' '];
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (signs[i].code == code)
            return &signs[i];
    return &ascii['?' - ' '];
}

static void curve(const double p[8], lode_stroke_fn stroke, void *data)
{
    enum { STEPS = 12 };
    double x0 = p[0], y0 = p[1];
    for (int i = 1; i <= STEPS; i++) {
        const double t = (double)i / STEPS, u = 1 - t;
        const double a = u * u * u, b = 3 * u * u * t, c = 3 * u * t * t, d = t * t * t;
        const double x = a * p[0] + b * p[2] + c * p[4] + d * p[6];
        const double y = a * p[1] + b * p[3] + c * p[5] + d * p[7];
        stroke(data, x0, y0, x, y);
        x0 = x, y0 = y;
    }
}

/* Four quarter arcs; 0.5523 is the usual handle length of a circle. */
static void ellipse(const double e[4], lode_stroke_fn stroke, void *data)
{
    const double kx = 0.5523 * e[2], ky = 0.5523 * e[3];
    for (int q = 0; q < 4; q++) {
        const double sx = q == 0 || q == 3 ? 1 : -1, sy = q < 2 ? 1 : -1;
        curve((const double[8]){ e[0] + sx * e[2], e[1], e[0] + sx * e[2], e[1] + sy * ky,
                                 e[0] + sx * kx, e[1] + sy * e[3], e[0], e[1] + sy * e[3] },
              stroke, data);
    }
}

double lode_i_glyph(uint32_t code, lode_stroke_fn stroke, void *data)
{
    const glyph *g = find(code);
    double at[2] = { 0, 0 };
    for (const char *s = g->strokes; stroke && *s;) {
        const char kind = *s++;
        const int want = kind == 'C' ? 6 : kind == 'A' ? 4 : 2;
        double p[8] = { at[0], at[1] };
        for (int i = 0; i < want; i++) {
            char *end;
            p[2 + i] = (double)strtol(s, &end, 10);
            s = end;
        }
        s += *s == ' ';
        if (kind == 'L')
            stroke(data, p[0], p[1], p[2], p[3]);
        else if (kind == 'C')
            curve(p, stroke, data);
        else if (kind == 'A')
            ellipse(p + 2, stroke, data);
        else if (kind == 'D')
            stroke(data, p[2], p[3], p[2], p[3]);
        if (kind != 'A' && kind != 'D')
            at[0] = p[want], at[1] = p[want + 1];
    }
    return g->advance;
}

double lode_i_text_width(const char *text, double size, bool bold)
{
    double width = 0;
    for (uint32_t code; (code = lode_i_utf8_next(&text)) != 0;)
        width += lode_i_glyph(code, NULL, NULL);
    return width * size * (bold ? 0.0107 : 0.01);
}

/* Copies the longest run of whole characters that fits in width with an ellipsis. */
static void shorten(char line[256], double size, bool bold, double width)
{
    const double dots = lode_i_text_width("\xE2\x80\xA6", size, bold);
    const char *s = line;
    size_t keep = 0;
    double used = 0;
    for (;;) {
        const uint32_t code = lode_i_utf8_next(&s);
        if (code == 0)
            break;
        used += lode_i_glyph(code, NULL, NULL) * size * (bold ? 0.0107 : 0.01);
        if (used + dots > width || (size_t)(s - line) > 250)
            break;
        keep = (size_t)(s - line);
    }
    while (keep > 0 && line[keep - 1] == ' ')
        keep--;
    memcpy(line + keep, "\xE2\x80\xA6", 4);
}

void lode_i_wrap(const char *text, double size, bool bold, double width, int max, lode_lines *lines)
{
    lines->count = 0;
    if (!text)
        return;
    while (*text && lines->count < max && lines->count < LODE_TEXT_LINES) {
        const bool last = lines->count == max - 1 || lines->count == LODE_TEXT_LINES - 1;
        const char *s = text, *cut = NULL, *end = text;
        double used = 0;
        while (*s && *s != '\n' && s - text < 248) {
            const char *from = s;
            const uint32_t code = lode_i_utf8_next(&s);
            used += lode_i_glyph(code, NULL, NULL) * size * (bold ? 0.0107 : 0.01);
            if (used > width && end > text)
                break;
            if (code == ' ')
                cut = from;
            end = s;
        }
        const bool rest = *end != 0 && *end != '\n';
        char *line = lines->line[lines->count++];
        if (rest && last) { /* what follows is lost: say so */
            memcpy(line, text, (size_t)(s - text)), line[s - text] = 0;
            shorten(line, size, bold, width);
            return;
        }
        if (rest && cut)
            end = cut;
        memcpy(line, text, (size_t)(end - text)), line[end - text] = 0;
        text = end;
        while (*text == ' ' || *text == '\n')
            text++;
    }
}
