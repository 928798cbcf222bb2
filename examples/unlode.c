/* unlode: gives back an array that `lode compress` packed into a .lode file.
 *
 *     cc -std=c11 -O2 unlode.c -o unlode -lm
 *     ./unlode packed.lode array.npy
 *     ./unlode model.lode array.npy NAME
 *
 * The second form takes one variable out of a file that holds several, as `lode compress model.nc`
 * makes it, also one that was kept as it is; without a name it lists them.
 *
 * This file is the whole program. It needs a C compiler (C99 or later, IEEE floating point) and the
 * C library; nothing of Lode. Keep a copy beside data that must be readable when Lode is not. It
 * reads every file that version 1 of the format allows `lode compress` to write, as docs/format.md
 * describes it, checks every checksum on the way, and writes a .npy file in C order, which NumPy
 * reads and which is easy to read without it: a line of text that gives type and shape, padded to a
 * multiple of 64 bytes, then the values, little-endian. Values of type bf16 are written as f32. The
 * file and the whole array are held in memory.
 *
 * Exit status: 0 done; 2 the file is damaged, or is no such file; 1 anything else (memory, disk).
 * What is wrong is said in one sentence.
 *
 * How a file is built, from the outside to the inside, with the section that reads it:
 *
 *     2   the file: a JSON header that says type, shape and where things lie; members coded.0,
 *         coded.1, ... with checksums. A variable of several is such a file within the file.
 *     9   the array: it is cut into blocks; member coded.K is block K. Where parts were added to a
 *         file, a member before them says how many blocks belong to each.
 *     8   a block: one record of numbers and streams. Its values come in one of three ways:
 *     5      exactly, every bit;
 *     6      as a transform: integer coefficients times a step, multiplied by a matrix along each
 *            axis, then corrections where a bound on every entry asks for them;
 *     7      by prediction: each value is foretold from those known before, plus an integer times
 *            a step.
 *     4   a stream: a tensor of integers, cut into chunks, entropy coded. There are two coders.
 *     3   what both coders know before a symbol is read: how large it may be expected to be.
 *
 * The integers of a stream come out the same on every machine. Reals made of them may differ from
 * Lode's in their last bits, as sums are done in another order, and in double precision here. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sums and products of predictions must be rounded one by one, as Lode rounds them. gcc needs
 * -std=c99 or -std=c11 (not gnu11) for that on machines with fused multiply-add. */
#if !defined(__GNUC__) || defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum {
    AXES = 36,            /* an array has at most 32 axes; complex pairs and padding add some */
    CHUNK = 65536,        /* most symbols of a chunk of a stream */
    PIECE = 1 << 20,      /* bytes of a member that one checksum covers */
    LONGEST_GIVEN = 4096, /* longest axis that is ever coded by cosines or wavelets */
    ESCAPE = (1 << 22) - 1
};

/* ---- 1. failing, memory, bytes, checksums ---- */

static const char *in_path;
static int64_t block_now = -1;            /* for messages */
static const char *part_now = "the file"; /* for messages: what is being read */

/* Says what is wrong and ends the program. */
static void fail(const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "unlode: %s: ", in_path);
    if (block_now >= 0)
        fprintf(stderr, "block %" PRId64 ", %s: ", block_now, part_now);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

/* a b, where both are sizes. */
static int64_t times(int64_t a, int64_t b)
{
    if (a < 0 || b < 0 || (b > 0 && a > (INT64_C(1) << 60) / b))
        fail("it is damaged: it asks for more values than any memory holds");
    return a * b;
}

/* Zeroed memory for `count` values of `size` bytes. */
static void *allocate(int64_t count, size_t size)
{
    const int64_t bytes = times(count, (int64_t)size);
    void *memory = (uint64_t)bytes < SIZE_MAX ? calloc((size_t)bytes + 1, 1) : NULL;
    if (!memory) {
        fprintf(stderr, "unlode: %s: no memory for %" PRId64 " bytes\n", in_path, bytes);
        exit(1);
    }
    return memory;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static int64_t product(int axes, const int64_t *shape)
{
    int64_t n = 1;
    int empty = 0;
    for (int k = 0; k < axes; k++)
        empty |= shape[k] == 0;
    for (int k = 0; k < axes && !empty; k++)
        n = times(n, shape[k]);
    return empty ? 0 : n;
}

/* Goes to the next place of a box in C order, over its first `axes` axes. */
static void next_place(int axes, const int64_t *count, int64_t *index)
{
    for (int k = axes - 1; k >= 0; k--) {
        if (++index[k] < count[k])
            return;
        index[k] = 0;
    }
}

static uint64_t get(const uint8_t *from, int width) /* little-endian */
{
    uint64_t v = 0;
    for (int k = 0; k < width; k++)
        v |= (uint64_t)from[k] << 8 * k;
    return v;
}

static void put(uint8_t *to, int width, uint64_t v)
{
    for (int k = 0; k < width; k++)
        to[k] = (uint8_t)(v >> 8 * k);
}

static double real_of(uint64_t word, int width)
{
    const uint32_t half = (uint32_t)word;
    float single;
    double value;
    memcpy(&single, &half, 4);
    memcpy(&value, &word, 8);
    return width == 4 ? (double)single : value;
}

static uint64_t word_of(double value, int width)
{
    const float single = (float)value;
    uint32_t half;
    uint64_t word;
    memcpy(&half, &single, 4);
    memcpy(&word, &value, 8);
    return width == 4 ? half : word;
}

/* Low half of the 128-bit product, exclusive-or its high half. */
static uint64_t mum(uint64_t a, uint64_t b)
{
    const uint64_t a0 = a & UINT32_MAX, a1 = a >> 32, b0 = b & UINT32_MAX, b1 = b >> 32;
    const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), low = a0 * b1 + (middle & UINT32_MAX);
    return (a * b) ^ (a1 * b1 + (middle >> 32) + (low >> 32));
}

/* The checksum that everything here has: eight lanes of 64-bit words, stripes of 64 bytes, the last
 * one filled up with zeros. Its constants are the first outputs of splitmix64 from state 0, made
 * odd. */
static uint64_t checksum(const uint8_t *bytes, int64_t size, uint64_t seed)
{
    static uint64_t constant[16];
    uint64_t lane[8], h;
    for (int k = 0; k < 16 && !constant[15]; k++) {
        uint64_t z = (uint64_t)(k + 1) * UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        constant[k] = (z ^ z >> 31) | 1;
    }
    for (int k = 0; k < 8; k++)
        lane[k] = constant[k] + seed;
    for (int64_t at = 0; at < size; at += 64) {
        uint8_t stripe[64] = { 0 };
        memcpy(stripe, bytes + at, (size_t)smaller(64, size - at));
        for (int k = 0; k < 8; k++)
            lane[k] = mum(lane[k] ^ get(stripe + 8 * k, 8), constant[k]);
    }
    h = (uint64_t)size ^ constant[0];
    for (int k = 0; k < 8; k++)
        h = mum(h ^ lane[k], constant[8 + k]);
    h ^= h >> 32;
    h *= constant[0];
    return h ^ h >> 29;
}

/* Compares a stored checksum, of `width` bytes, with that of the bytes. */
static void check(uint64_t stored, int width, const uint8_t *bytes, int64_t size, uint64_t seed,
                  const char *what, int64_t number)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)width; /* else a fuzzer would never come past this line */
#else
    const uint64_t found = checksum(bytes, size, seed);
    if ((width == 8 ? found : found & UINT32_MAX) == stored)
        return;
    if (number < 0)
        fail("the checksum of its %s does not fit: the file is damaged there", what);
    fail("the checksum of its %s %" PRId64 " does not fit: the file is damaged there", what,
         number);
#endif
    (void)stored, (void)bytes, (void)size, (void)seed, (void)what, (void)number;
}

/* Bytes that are read from front to end. */
typedef struct reader {
    const uint8_t *at, *end;
} reader;

static const uint8_t *take(reader *r, int64_t count)
{
    const uint8_t *from = r->at;
    if (count < 0 || count > r->end - r->at)
        fail("it is damaged: it ends too early");
    r->at += count;
    return from;
}

/* 7 bits a byte, lowest first; the upper bit says that another byte follows. */
static uint64_t take_number(reader *r, uint64_t most)
{
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t byte = *take(r, 1);
        if (shift < 64)
            v |= (uint64_t)(byte & 127) << shift;
        if (shift >= 64 || v > most)
            fail("it is damaged: a number is out of range");
        if (byte < 128)
            return v;
    }
}

/* Integers of records: v is stored as the number 2 v, or as -2 v - 1 where it is negative. */
static int64_t take_integer(reader *r, int64_t least, int64_t most)
{
    const uint64_t folded = take_number(r, UINT64_MAX);
    const int64_t v = folded & 1 ? -(int64_t)(folded >> 1) - 1 : (int64_t)(folded >> 1);
    if (v < least || v > most)
        fail("it is damaged: a number is %" PRId64 ", not %" PRId64 " to %" PRId64, v, least, most);
    return v;
}

static double take_real(reader *r)
{
    const double v = real_of(get(take(r, 8), 8), 8);
    if (!isfinite(v))
        fail("it is damaged: a number is not finite");
    return v;
}

static reader take_stream(reader *r)
{
    const int64_t size = take_integer(r, 0, r->end - r->at);
    const uint8_t *from = take(r, size);
    return (reader){ from, from + size };
}

/* Opens a record: its last 8 bytes are the checksum of all before. */
static reader open_record(reader r)
{
    if (r.end - r.at < 8)
        fail("it is damaged: it ends too early");
    r.end -= 8;
    check(get(r.end, 8), 8, r.at, r.end - r.at, 0, "record", -1);
    return r;
}

/* ---- 2. the file: header, description, members ---- */

/* A value of JSON, as text; or what is left of a list or an object. */
typedef struct json {
    const char *at, *end;
} json;

static int peek(json *j) /* the next character that is no space, or -1 */
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
        j->at++;
    return j->at < j->end ? (unsigned char)*j->at : -1;
}

static void expect(json *j, char c)
{
    if (peek(j) != c)
        fail("its header is no JSON that is understood: there is no '%c' where one must be", c);
    j->at++;
}

/* Takes the next value off the front: to the end of its text or of its outermost bracket, or up to
 * what cannot belong to a number or word. */
static json take_value(json *j)
{
    json value = { j->at, j->at };
    int64_t depth = 0;
    if (peek(j) < 0)
        fail("its header is no JSON that is understood: it ends too early");
    value.at = j->at;
    do {
        const int c = peek(j);
        if (c < 0)
            fail("its header is no JSON that is understood: it ends too early");
        if (depth == 0 && (c == ',' || c == ':' || c == '}' || c == ']'))
            break;
        j->at++;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (c == '"') {
            while (j->at < j->end && *j->at != '"')
                j->at += *j->at == '\\' && j->end - j->at > 1 ? 2 : 1;
            expect(j, '"');
        } else if (depth == 0 && c != '}' && c != ']') {
            while (j->at < j->end && !strchr(" \t\r\n,:]}", *j->at))
                j->at++;
        }
    } while (depth > 0);
    value.end = j->at;
    return value;
}

/* The text of a string, without its quotes and escapes; new. Characters given as \uXXXX are of no
 * meaning here and become question marks. */
static char *string_of(json j)
{
    static const char letter[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char *text = allocate(j.end - j.at, 1), *to = text;
    expect(&j, '"');
    while (j.at < j.end && *j.at != '"') {
        char c = *j.at++;
        if (c == '\\' && j.at < j.end) {
            const char *known = strchr(letter, c = *j.at++);
            if (c == 'u')
                j.at += smaller(4, j.end - j.at);
            c = c && known ? meaning[known - letter] : '?';
        }
        *to++ = c;
    }
    return text;
}

/* Steps through an object or a list of which *rest is what is left; *key (or NULL) is new. */
static int next_entry(json *rest, char **key, json *value)
{
    const int c = peek(rest);
    if (c == '{' || c == '[' || c == ',')
        rest->at++;
    if (peek(rest) == '}' || peek(rest) == ']' || peek(rest) < 0)
        return 0;
    if (key) {
        *key = string_of(take_value(rest));
        expect(rest, ':');
    }
    *value = take_value(rest);
    return 1;
}

static json entry(json object, const char *wanted)
{
    json value = { NULL, NULL };
    char *key = NULL;
    int found = 0;
    while (!found && next_entry(&object, &key, &value)) {
        found = strcmp(key, wanted) == 0;
        free(key);
    }
    if (!found)
        fail("its header says nothing of '%s': it is damaged, or not of lode compress", wanted);
    return value;
}

static int64_t integer_of(json j)
{
    int64_t v = 0;
    if (j.at == j.end)
        fail("its header has no number where one must be");
    for (; j.at < j.end; j.at++) {
        if (*j.at < '0' || *j.at > '9' || v > INT64_MAX / 10 - 1)
            fail("its header has a size that is no size");
        v = 10 * v + (*j.at - '0');
    }
    return v;
}

/* Storage types. class: b bool, i signed, u unsigned, f real, h real of 16 bits that C does not
 * know, c complex. */
typedef struct type {
    const char *name;
    char class;
    int width; /* bytes of a value; of one of the two where it is complex */
    const char *npy;
} type;
static const type types[] = {
    { "bool", 'b', 1, "|b1" }, { "i8", 'i', 1, "|i1" },   { "i16", 'i', 2, "<i2" },
    { "i32", 'i', 4, "<i4" },  { "i64", 'i', 8, "<i8" },  { "u8", 'u', 1, "|u1" },
    { "u16", 'u', 2, "<u2" },  { "u32", 'u', 4, "<u4" },  { "u64", 'u', 8, "<u8" },
    { "f16", 'h', 2, "<f2" },  { "bf16", 'h', 2, "<f4" }, { "f32", 'f', 4, "<f4" },
    { "f64", 'f', 8, "<f8" },  { "c64", 'c', 4, "<c8" },  { "c128", 'c', 8, "<c16" },
};

typedef struct file {
    reader data;                /* what follows the header */
    json tensors;               /* what is left of the list of what lies where */
    json members;               /* what is left of their list in the description */
    char *header, *description; /* text of it */
    const char *prefix;         /* of the names of tensors: the variable's, or "" */
    int plain;                  /* a variable that was kept as it is */
    type type;                  /* of the array */
    int axes;
    int64_t shape[AXES];
} file;

/* Says which variables there are. */
static void list_variables(json members)
{
    json member;
    fprintf(stderr, "unlode: %s holds several variables; give the name of one:\n", in_path);
    while (next_entry(&members, NULL, &member)) {
        char *kind = string_of(entry(member, "kind")), *name = string_of(entry(member, "name"));
        if (strcmp(kind, "bundle") == 0 || strcmp(kind, "array") == 0)
            fprintf(stderr, "    %s\n", name);
        free(kind), free(name);
    }
    exit(1);
}

/* The description of the variable, which is like that of a file; a plain array has none. */
static json variable_of(json description, const char *wanted, file *f)
{
    json members = entry(description, "members"), member = members;
    while (next_entry(&members, NULL, &member)) {
        char *kind = string_of(entry(member, "kind")), *name = string_of(entry(member, "name"));
        const int found = strcmp(name, wanted) == 0;
        const int bundle = strcmp(kind, "bundle") == 0, array = strcmp(kind, "array") == 0;
        free(kind), free(name);
        if (!found)
            continue;
        if (!bundle && !array)
            fail("its %.80s is no array", wanted);
        f->plain = array;
        f->prefix = bundle ? wanted : "";
        return member;
    }
    fail("it has no variable %.80s", wanted);
    return member;
}

static void open_file(const uint8_t *bytes, int64_t size, const char *variable, file *f)
{
    static const char opening[] = "{\"__metadata__\":{\"lode_checksum\":\"";
    enum { OPENING = sizeof opening - 1, DIGITS = 16 };
    const uint64_t length = size >= 8 ? get(bytes, 8) : UINT64_MAX;
    if (size < 8 || length > (uint64_t)size - 8 || length < OPENING + DIGITS ||
        memcmp(bytes + 8, opening, OPENING) != 0)
        fail("it is no .lode file, or its first bytes are damaged");

    /* The checksum of the header is made with zeros in its own place. */
    const int64_t n = (int64_t)length;
    char *header = f->header = allocate(n, 1), stored[DIGITS + 1] = { 0 };
    memcpy(header, bytes + 8, (size_t)n);
    memcpy(stored, header + OPENING, DIGITS);
    memset(header + OPENING, '0', DIGITS);
    check(strtoull(stored, NULL, 16), 8, (const uint8_t *)header, n, length, "header", -1);

    f->data = (reader){ bytes + 8 + n, bytes + size };
    f->tensors = (json){ header, header + n };
    f->description = string_of(entry(entry(f->tensors, "__metadata__"), "lode"));
    json description = { f->description, f->description + strlen(f->description) };
    if (integer_of(entry(description, "lode")) != 1)
        fail("it is of another version of the format; this program reads version 1");
    f->prefix = "";
    if (variable)
        description = variable_of(description, variable, f);
    if (!f->plain) {
        char *op = string_of(entry(description, "op"));
        if (!*op && !variable)
            list_variables(entry(description, "members"));
        if (strcmp(op, "compress") != 0)
            fail("it holds a result of '%.40s', not of compress", op);
        free(op);
        f->members = entry(description, "members");
    } else { /* as good as the only member of a list */
        f->members = description;
    }

    const json gives = f->plain ? description : entry(description, "gives");
    char *name = string_of(entry(gives, "dtype"));
    const size_t count = sizeof types / sizeof *types;
    size_t t = 0;
    while (t < count && strcmp(types[t].name, name) != 0)
        t++;
    if (t == count)
        fail("its values are of type '%.20s', which is not known here", name);
    free(name);
    f->type = types[t];
    json list = entry(gives, "shape"), length_now;
    for (f->axes = 0; next_entry(&list, NULL, &length_now); f->axes++) {
        if (f->axes == 32)
            fail("it has more than 32 axes");
        f->shape[f->axes] = integer_of(length_now);
    }
    product(f->axes, f->shape); /* or fails */
}

/* Whether a tensor is the member of that name. */
static int is_tensor_of(const file *f, const char *key, const char *wanted)
{
    const size_t n = strlen(f->prefix);
    return n ? strncmp(key, f->prefix, n) == 0 && key[n] == '.' && strcmp(key + n + 1, wanted) == 0
             : strcmp(key, wanted) == 0;
}

static void bytes_of(file *f, json member, const char *wanted, reader *r);

/* The next member, if it has this name; its bytes, after a look at their checksums. */
static int next_member(file *f, const char *wanted, reader *r)
{
    json members = f->members, member;
    if (!next_entry(&members, NULL, &member))
        return 0;
    char *name = string_of(entry(member, "name"));
    const int found = strcmp(name, wanted) == 0;
    free(name);
    if (!found)
        return 0;
    bytes_of(f, member, wanted, r);
    f->members = members;
    return 1;
}

static void bytes_of(file *f, json member, const char *wanted, reader *r)
{
    json tensors = f->tensors, value;
    char *key = NULL;
    do { /* members and tensors are in the same order; between them is padding, and other variables */
        free(key);
        if (!next_entry(&tensors, &key, &value))
            fail("it has no bytes of member %s: it is damaged", wanted);
    } while (!is_tensor_of(f, key, wanted));
    free(key);

    json offsets = entry(value, "data_offsets"), first = offsets, last = offsets;
    if (!next_entry(&offsets, NULL, &first) || !next_entry(&offsets, NULL, &last))
        fail("its header does not say where %s lies", wanted);
    const int64_t from = integer_of(first), to = integer_of(last);
    if (from > to || to > f->data.end - f->data.at)
        fail("%s lies beyond its end: it was cut off", wanted);
    *r = (reader){ f->data.at + from, f->data.at + to };
    char *sums = string_of(entry(member, "sums"));
    if ((int64_t)strlen(sums) != 16 * divide_up(to - from, PIECE))
        fail("its description has not as many checksums as %s needs", wanted);
    for (int64_t k = 0; k * PIECE < to - from; k++) {
        char digits[17] = { 0 };
        memcpy(digits, sums + 16 * k, 16);
        check(strtoull(digits, NULL, 16), 8, r->at + k * PIECE,
              smaller(PIECE, to - from - k * PIECE), (uint64_t)k, "member, piece", k);
    }
    free(sums);
    f->tensors = tensors;
}

/* ---- 3. streams: what is known of a symbol before it is read ---- */

/* A tensor of integers, cut into chunks. Axes of length 1 are left out; two of them are put before
 * the others where there are fewer than three. All magnitudes that contexts see count 2^-6. */
typedef struct stream {
    int version, hinted, signs, base, drop;
    uint64_t weight[8]; /* of what is around a symbol, see expectation() */
    int axes;
    int64_t length[AXES], stride[AXES]; /* of the tensor */
    int64_t side[AXES], parts[AXES];    /* of a chunk; how many there are */
    int64_t chunks;
    int32_t *level[AXES];       /* hints along the axes, in quarter octaves */
    uint32_t frequency[40][16]; /* version 2: of tokens, in each class */
} stream;

/* A chunk being decoded: the box of it that holds all nonzero symbols, with a border. */
typedef struct chunk {
    const stream *s;
    int axes;                          /* at least 3 */
    int64_t count[AXES], stride[AXES]; /* of the box; of the box with its border */
    const int32_t *level[AXES];        /* hints from the chunk's start on, or NULL */
    uint32_t *seen;                    /* magnitudes of the box with its border */
} chunk;

static int log2_of(uint64_t v) /* the largest n with 2^n <= v; v > 0 */
{
    int n = 0;
    while (v >>= 1)
        n++;
    return n;
}

static const uint64_t quarter[4] = { 256, 304, 362, 431 }; /* 2^8 2^(k/4) */

/* 2^(level / 4), level 0 being one unit. */
static uint64_t expected(int32_t level, int32_t most)
{
    if (level <= 0)
        return level < -4 ? 0 : 1;
    level = level < most ? level : most;
    return quarter[level & 3] << (level >> 2) >> 8;
}

static int32_t level_at(const chunk *c, int axis, int64_t i)
{
    if (!c->level[axis])
        return 0;
    i = i < 0 ? 0 : i < c->count[axis] ? i : c->count[axis] - 1;
    return c->level[axis][i];
}

/* Border before and after each axis: 2 before on the last, else 1; 1 after on the last two. */
static int before(const chunk *c, int axis)
{
    return axis == c->axes - 1 ? 2 : 1;
}
static int after(const chunk *c, int axis)
{
    return axis >= c->axes - 2;
}

/* Lays out a box and fills its border: with what the hints expect at the nearest place inside, or
 * with zeros behind the box where the chunk goes on, as all is zero there. */
static void open_chunk(chunk *c, const stream *s, const int64_t *start, const int64_t *whole,
                       const int64_t *box)
{
    const int made = s->axes < 3 ? 3 - s->axes : 0, last = s->axes + made - 1;
    const int32_t most = s->version == 1 ? 4 * 30 : 4 * 17;
    int64_t size = 1, rows = 1, index[AXES] = { 0 }, extent[AXES];
    memset(c, 0, sizeof *c);
    c->s = s;
    c->axes = last + 1;
    for (int k = last; k >= 0; k--) {
        c->count[k] = k < made ? 1 : box[k - made];
        c->level[k] = k < made || !s->hinted ? NULL : s->level[k - made] + start[k - made];
        c->stride[k] = size;
        extent[k] = c->count[k] + before(c, k) + after(c, k);
        size = times(size, extent[k]);
        rows *= k < last ? extent[k] : 1;
    }
    c->seen = allocate(size, sizeof *c->seen);
    const int cut = box[s->axes - 1] < whole[s->axes - 1];
    for (int64_t r = 0; r < rows; r++) {
        uint32_t *row = c->seen + r * extent[last];
        int inside = 1, zero = 0;
        int32_t level = s->base;
        for (int k = 0; k < last; k++) {
            const int64_t i = index[k] - before(c, k);
            inside = inside && i >= 0 && i < c->count[k];
            zero = zero || (i >= c->count[k] && k >= made && box[k - made] < whole[k - made]);
            level += level_at(c, k, i);
        }
        for (int64_t i = 0; i < extent[last]; i++) {
            const int64_t at = i - before(c, last);
            const int none = zero || (cut && at >= c->count[last]);
            if (!inside || at < 0 || at >= c->count[last])
                row[i] = none ? 0 : (uint32_t)expected(level + level_at(c, last, at), most);
        }
        next_place(last, extent, index);
    }
}

/* What the neighbours of a symbol that are known, and its hint, say of its magnitude. */
static uint64_t expectation(const chunk *c, const uint32_t *here, uint64_t hint)
{
    const uint64_t *w = c->s->weight;
    const int last = c->axes - 1;
    const int64_t side = c->stride[last - 1];
    const uint32_t *up = here - side, *back = here - c->stride[last - 2];
    uint64_t sum = w[0] * hint + w[1] * here[-1] + w[2] * here[-2] + w[3] * up[0];
    sum += w[4] * ((uint64_t)up[-1] + up[1]) + w[5] * back[0];
    sum += w[6] * ((uint64_t)back[-1] + back[1] + back[-side] + back[side]);
    for (int k = 0; k < last - 2; k++)
        sum += w[7] * here[-c->stride[k]];
    return sum >> 8;
}

/* Class of an expected magnitude: four an octave. */
static uint32_t level_of(uint64_t m)
{
    const int n = m < 4 ? 0 : log2_of(m);
    return m < 4 ? (uint32_t)m : (uint32_t)(4 * (n - 1)) + (uint32_t)(m >> (n - 2) & 3);
}

/* Low bits of a magnitude that no model is used for. */
static int shift_of(uint64_t m)
{
    const int shift = m ? log2_of(m) - 7 : 0;
    return shift < 0 ? 0 : shift < 31 ? shift : 31;
}

/* Sixteen tokens stand for magnitudes: the least that each stands for, and how many plain bits
 * choose among the others (token 15 has its own way). */
static const uint32_t token_first[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 24, 32, 64 };
static const int token_bits[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 5, 0 };

/* What the tokens of a level are expected to be before any was seen: cumulative counts out of 2^24,
 * a mean of two geometric distributions. */
static void level_default(uint32_t level, int32_t low[16])
{
    const int n = level < 4 ? 0 : (int)(level / 4) + 1;
    uint64_t m = level < 4 ? (uint64_t)(2 * level + 1) << 9
                           : (uint64_t)(2 * (level & 3) + 9) << (7 + n);
    m >>= n > 7 ? n - 7 : 0;
    for (int t = 0; t < 16; t++) {
        uint64_t sum = 0;
        for (uint64_t c = 1; c <= 3; c += 2) {
            const uint64_t mean = m * c / 2 + 1, theta = (mean << 30) / (65536 + mean);
            uint64_t tail = UINT64_C(1) << 30;
            for (uint32_t i = 0; i < token_first[t]; i++)
                tail = tail * theta >> 30;
            sum += (UINT64_C(1) << 30) - tail;
        }
        low[t] = (int32_t)(sum >> 7);
    }
}

/* Plain bits, the lowest of each byte first. */
typedef struct bits {
    const uint8_t *from;
    int64_t size, at; /* bytes there are, bits read */
} bits;

static uint64_t take_bits(bits *b, int count)
{
    uint64_t v = 0;
    if (count > 8 * b->size - b->at)
        fail("it is damaged: a chunk has too few bits");
    for (int k = 0; k < count; k++, b->at++)
        v |= (uint64_t)(b->from[b->at / 8] >> b->at % 8 & 1) << k;
    return v;
}

static int32_t symbol_of(uint64_t magnitude, int negative)
{
    if (magnitude > (uint64_t)INT32_MAX + (negative ? 1 : 0))
        fail("it is damaged: a symbol is out of range");
    return (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
}

/* ---- 4. streams: the two coders, and whole streams ---- */

/* Version 1: adaptive models, one coder of 64 bits with words of 32. Each token has two models, by
 * the level of its expectation alone and refined by what is near; their mean counts. */
typedef struct model {
    int32_t low[16]; /* cumulative counts of the tokens, out of 2^24 */
    int32_t seen;    /* tokens it has learned from; 0: it is not yet made */
} model;

typedef struct coder1 {
    model level[152], refined[76][20];
    uint64_t state;
    reader words;
    bits plain;
} coder1;

static void open_coder1(coder1 *d, reader r)
{
    for (uint32_t l = 0; l < 152; l++) {
        level_default(l, d->level[l].low);
        d->level[l].seen = 6;
    }
    memset(d->refined, 0, sizeof d->refined);
    const int64_t words = (int64_t)take_number(&r, CHUNK);
    d->state = get(take(&r, 8), 8);
    d->words.at = take(&r, 4 * words);
    d->words.end = r.at;
    d->plain = (bits){ r.at, r.end - r.at, 0 };
}

static void close_coder1(const coder1 *d)
{
    if (d->words.at != d->words.end || d->state != UINT64_C(1) << 31 ||
        (d->plain.at + 7) / 8 != d->plain.size)
        fail("it is damaged: a chunk does not end where it must");
}

static void learn(model *m, int token, int slowest)
{
    int rate = log2_of((uint64_t)m->seen + 2);
    rate = rate < slowest ? rate : slowest;
    m->seen += m->seen < 65535;
    for (int i = 0; i < 16; i++) {
        const int32_t d = (i > token ? 1 << 24 : 0) - m->low[i];
        m->low[i] += d < 0 ? ~(~d >> rate) : d >> rate; /* floor(d / 2^rate) */
    }
}

static int token1(coder1 *d, model *a, model *b)
{
    uint32_t low[17];
    int t = 15;
    if (b->seen == 0) { /* a refinement begins as what its level knows by then */
        *b = *a;
        b->seen = a->seen < 24 ? a->seen : 24;
    }
    for (int i = 0; i < 16; i++) {
        const uint32_t mean = (uint32_t)(a->low[i] + b->low[i]) >> 10;
        low[i] = mean - (mean >> 11) + (uint32_t)i; /* out of 2^15, none less than 1 */
    }
    low[16] = 1 << 15;
    const uint32_t slot = (uint32_t)d->state & ((1 << 15) - 1);
    while (low[t] > slot)
        t--;
    d->state = (low[t + 1] - low[t]) * (d->state >> 15) + slot - low[t];
    if (d->state < UINT64_C(1) << 31)
        d->state = d->state << 32 | get(take(&d->words, 4), 4);
    learn(a, t, 10);
    learn(b, t, 9);
    return t;
}

/* A row of a box: seen is where its magnitudes go, level the sum of its hints but the last. */
static void row1(coder1 *d, const chunk *c, uint32_t *seen, int32_t level, int32_t *symbols)
{
    const int drop = c->s->drop, last = c->axes - 1;
    for (int64_t i = 0; i < c->count[last]; i++) {
        const uint64_t hint = expected(level + level_at(c, last, i), 4 * 30);
        const uint64_t m = expectation(c, seen + i, hint) << drop;
        const uint64_t near = (uint64_t)seen[i - 1] << drop, h = hint << drop;
        const int n = 4 * near < m ? 0 : 2 * near < m ? 1 : near < m ? 2 : near < 2 * m ? 3 : 4;
        const int k = 2 * h < m ? 0 : h < m ? 1 : h < 2 * m ? 2 : 3;
        const uint32_t l = level_of(m) < 152 ? level_of(m) : 151;
        const int shift = shift_of(m);
        const int token = token1(d, &d->level[l], &d->refined[l / 2][4 * n + k]);
        uint64_t v;
        if (token < 15) {
            v = token_first[token] + take_bits(&d->plain, token_bits[token]);
        } else { /* ones for the number of bits, a zero, the bits */
            int digits = 0;
            while (take_bits(&d->plain, 1))
                if (++digits > 31)
                    fail("it is damaged: a symbol is out of range");
            v = token_first[15] + (UINT64_C(1) << digits) - 1 + take_bits(&d->plain, digits);
        }
        const uint64_t magnitude = v << shift | take_bits(&d->plain, shift);
        const int negative = magnitude && c->s->signs && take_bits(&d->plain, 1);
        symbols[i] = symbol_of(magnitude, negative);
        seen[i] = (uint32_t)(magnitude >> drop < 1 << 22 ? magnitude >> drop : 1 << 22) << 6;
    }
}

/* Version 2: distributions that stay, eight coders of 32 bits in turn with words of 16. */
typedef struct coder2 {
    uint32_t state[8];
    reader words;
    bits plain, minus;
    uint32_t column[CHUNK]; /* 2^15 times 2^(level / 4) along the last axis, 1 where it is most */
    int32_t most;           /* the level it is relative to */
    uint8_t class[CHUNK], shift[CHUNK], flag[CHUNK]; /* of a row */
} coder2;

static void open_coder2(coder2 *d, const chunk *c, reader r)
{
    static const uint32_t root[4] = { 32768, 38968, 46341, 55109 }; /* 2^15 2^(k/4) */
    const int last = c->axes - 1;
    const int64_t words = (int64_t)take_number(&r, 4 * CHUNK);
    const int64_t plain = (int64_t)take_number(&r, (uint64_t)(r.end - r.at));
    for (int k = 0; k < 8; k++) {
        d->state[k] = (uint32_t)get(take(&r, 4), 4);
        if (d->state[k] < 1 << 15 || d->state[k] >> 31)
            fail("it is damaged: a chunk does not begin as it must");
    }
    d->words.at = take(&r, 2 * words);
    d->words.end = r.at;
    d->plain = (bits){ take(&r, plain), plain, 0 };
    d->minus = (bits){ r.at, r.end - r.at, 0 };
    d->most = level_at(c, last, 0);
    for (int64_t i = 0; i < c->count[last]; i++)
        d->most = level_at(c, last, i) > d->most ? level_at(c, last, i) : d->most;
    for (int64_t i = 0; i < c->count[last]; i++) {
        const int32_t down = d->most - level_at(c, last, i), octaves = (down + 3) / 4;
        d->column[i] = octaves > 16 ? 0 : root[4 * octaves - down] >> octaves;
    }
}

static void close_coder2(const coder2 *d)
{
    int wrong = d->words.at != d->words.end || (d->plain.at + 7) / 8 != d->plain.size ||
                (d->minus.at + 7) / 8 != d->minus.size;
    for (int k = 0; k < 8; k++)
        wrong |= d->state[k] != 1 << 15;
    if (wrong)
        fail("it is damaged: a chunk does not end where it must");
}

static int token2(coder2 *d, int turn, const uint32_t *frequency)
{
    uint32_t *x = &d->state[turn % 8], low = 0;
    const uint32_t slot = *x & 4095;
    int t = 0;
    while (slot - low >= frequency[t])
        low += frequency[t++];
    *x = frequency[t] * (*x >> 12) + slot - low;
    if (*x < 1 << 15)
        *x = *x << 16 | (uint32_t)get(take(&d->words, 2), 2);
    return t;
}

static void row2(coder2 *d, const chunk *c, uint32_t *seen, int32_t level, int32_t *symbols)
{
    const stream *s = c->s;
    const int64_t n = c->count[c->axes - 1];
    const uint64_t factor = expected(level + d->most, 4 * 31 - 1);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t hint = factor * d->column[i] >> 15, near = 1024;
        uint64_t m = expectation(c, seen + i, hint < 1 << 17 ? hint : 1 << 17);
        m = m < 1 << 17 ? m : (1 << 17) - 1;
        m = (m < near ? m : m / 128 * 128) << s->drop;
        const uint32_t l = level_of(m);
        d->class[i] = (uint8_t)(l < 36 ? l : 32 + (l & 3));
        d->shift[i] = (uint8_t)shift_of(m);
    }
    /* Groups of 16 that expect zeros have a flag, which may skip them: first all flags of the row,
     * each coded by what its group expects. */
    int turn = 0;
    for (int64_t from = 0; from < n; from += 16) {
        int all = 0;
        for (int64_t i = from; i < n && i < from + 16; i++)
            all |= d->class[i];
        d->flag[from / 16] = all >= 4 || token2(d, turn++, s->frequency[36 + all]);
    }
    for (int64_t i = 0; i < n; i++) {
        symbols[i] = 0;
        seen[i] = 0;
        if (!d->flag[i / 16])
            continue;
        const int token = token2(d, (int)(i % 16), s->frequency[d->class[i]]);
        uint64_t v = token_first[token];
        if (token == 15) {
            const int digits = (int)take_bits(&d->plain, 6);
            if (digits > 31)
                fail("it is damaged: a symbol is out of range");
            v += (UINT64_C(1) << digits) - 1 + take_bits(&d->plain, digits);
        }
        const int own = token_bits[token] + d->shift[i];
        const uint64_t magnitude = (v << d->shift[i]) + take_bits(&d->plain, own);
        const int negative = magnitude && s->signs && take_bits(&d->minus, 1);
        symbols[i] = symbol_of(magnitude, negative);
        seen[i] = (uint32_t)(magnitude >> s->drop < 2047 ? magnitude >> s->drop : 2047) << 6;
    }
}

static void decode_chunk(const stream *s, int64_t number, reader r, coder1 *d1, coder2 *d2,
                         int32_t *symbols)
{
    int64_t start[AXES], whole[AXES], box[AXES], index[AXES] = { 0 }, rows = 1;
    chunk c;
    for (int k = s->axes - 1; k >= 0; k--) { /* chunks lie in C order */
        start[k] = number % s->parts[k] * s->side[k];
        whole[k] = smaller(s->side[k], s->length[k] - start[k]);
        number /= s->parts[k];
    }
    for (int k = 0; k < s->axes; k++)
        box[k] = whole[k] - (int64_t)take_number(&r, (uint64_t)whole[k] - 1);
    open_chunk(&c, s, start, whole, box);
    if (s->version == 1)
        open_coder1(d1, r);
    else
        open_coder2(d2, &c, r);
    const int last = c.axes - 1, made = c.axes - s->axes;
    for (int k = 0; k < last; k++)
        rows *= c.count[k];
    for (int64_t row = 0; row < rows; row++) {
        int64_t from = start[s->axes - 1], at = before(&c, last);
        int32_t level = s->base;
        for (int k = 0; k < last; k++) {
            from += k < made ? 0 : (start[k - made] + index[k]) * s->stride[k - made];
            at += (index[k] + before(&c, k)) * c.stride[k];
            level += level_at(&c, k, index[k]);
        }
        if (s->version == 1)
            row1(d1, &c, c.seen + at, level, symbols + from);
        else
            row2(d2, &c, c.seen + at, level, symbols + from);
        next_place(last, c.count, index);
    }
    if (s->version == 1)
        close_coder1(d1);
    else
        close_coder2(d2);
    free(c.seen);
}

/* How a tensor is cut: the longest side, the first of equals, is cut in two until a chunk is small
 * enough. */
static void cut_tensor(int axes, const int64_t *shape, stream *s)
{
    int64_t size = 1;
    for (int k = 0; k < axes; k++)
        if (shape[k] != 1)
            s->length[s->axes++] = shape[k];
    if (s->axes == 0)
        s->length[s->axes++] = 1;
    while (s->axes > 6) { /* two in a row become one */
        int at = 0;
        for (int k = 1; k < s->axes - 1; k++)
            if (s->length[k] * s->length[k + 1] < s->length[at] * s->length[at + 1])
                at = k;
        s->length[at] *= s->length[at + 1];
        s->axes--;
        for (int k = at + 1; k < s->axes; k++)
            s->length[k] = s->length[k + 1];
    }
    for (int k = s->axes - 1; k >= 0; k--) {
        s->stride[k] = size;
        size *= s->length[k];
        s->side[k] = s->length[k];
    }
    while (product(s->axes, s->side) > CHUNK) {
        int k = 0;
        for (int i = 1; i < s->axes; i++)
            k = s->side[i] > s->side[k] ? i : k;
        const int64_t parts = divide_up(s->length[k], divide_up(s->side[k], 2));
        s->side[k] = divide_up(s->length[k], parts);
    }
    s->chunks = size > 0;
    for (int k = 0; k < s->axes && size > 0; k++) {
        s->parts[k] = divide_up(s->length[k], s->side[k]);
        s->chunks *= s->parts[k];
    }
}

static int32_t *decode_stream(reader r, int axes, const int64_t *shape, int inner);

/* A stream within the header of another. */
static int32_t *decode_inner(reader *r, int64_t count)
{
    const int64_t size = (int64_t)take_number(r, (uint64_t)(r->end - r->at));
    const uint8_t *from = take(r, size);
    return decode_stream((reader){ from, from + size }, 1, &count, 1);
}

static void read_hints(reader *r, stream *s)
{
    int64_t total = 0, at = 0;
    for (int k = 0; k < s->axes; k++)
        total += s->length[k];
    int32_t *delta = decode_inner(r, total);
    for (int k = 0; k < s->axes; k++) {
        int64_t level = 0;
        s->level[k] = allocate(s->length[k], sizeof **s->level);
        for (int64_t i = 0; i < s->length[k]; i++) {
            level += 2 * (int64_t)delta[at++];
            level = level < -512 ? -512 : level > 512 ? 512 : level;
            s->level[k][i] = (int32_t)level;
        }
    }
    free(delta);
}

/* Frequencies out of 2^12: those that every stream begins with, and differences where it has its
 * own. Classes 0 to 35 are of symbols, 36 to 39 of flags. */
static void read_frequencies(reader *r, uint64_t changed, stream *s)
{
    int64_t count = 0, at = 0;
    for (int c = 0; c < 36; c++) {
        const int shift = c / 4 + 1 > 7 ? c / 4 + 1 - 7 : 0;
        int32_t low[16];
        uint32_t start = 0;
        level_default((uint32_t)(c - 4 * shift), low);
        for (uint32_t k = 0; k < 16; k++) {
            const uint32_t x = k < 15 ? (uint32_t)low[k + 1] >> 12 : 0;
            const uint32_t end = k < 15 ? x - (x >> 8) + k + 1 : 4096;
            s->frequency[c][k] = end - start;
            start = end;
        }
    }
    for (uint32_t c = 0; c < 4; c++) {
        s->frequency[36 + c][1] = 256 * (2 * c + 1);
        s->frequency[36 + c][0] = 4096 - s->frequency[36 + c][1];
    }
    for (int c = 0; c < 40; c++)
        count += changed >> c & 1 ? 16 : 0;
    int32_t *delta = count ? decode_inner(r, count) : NULL;
    for (int c = 0; c < 40; c++) {
        int64_t sum = 0;
        for (int k = 0; k < 16; k++) {
            const int64_t f = s->frequency[c][k] + (changed >> c & 1 ? (int64_t)delta[at++] : 0);
            if (f < 0 || f > 4096)
                fail("it is damaged: a frequency of its tokens is out of range");
            s->frequency[c][k] = (uint32_t)f;
            sum += f;
        }
        if (sum != 4096)
            fail("it is damaged: the frequencies of its tokens do not sum up");
    }
    free(delta);
}

/* The integers of a stream, in C order; new. inner: it lies in the header of another. */
static int32_t *decode_stream(reader r, int axes, const int64_t *shape, int inner)
{
    const uint8_t *begin = r.at;
    const int64_t values = product(axes, shape), size = r.end - r.at;
    int64_t rows[2] = { divide_up(values, 128), 128 }, longest = 0;
    uint8_t lengths[8 * AXES];
    stream *s = allocate(1, sizeof *s);

    if (values / CHUNK > size) /* each chunk takes a byte at least */
        fail("it is damaged: a stream of %" PRId64 " bytes cannot hold %" PRId64 " values", size,
             values);
    s->version = *take(&r, 1);
    const int flags = *take(&r, 1);
    if (s->version < 1 || s->version > (inner ? 1 : 2) || flags > 3)
        fail("it is damaged: a stream is of version %d", s->version);
    for (int k = 0; k < axes; k++)
        longest = shape[k] > longest ? shape[k] : longest;
    if (s->version == 2 && values == longest && values >= 4096) /* a long vector, as rows */
        axes = 2, shape = rows;
    cut_tensor(axes, shape, s);
    s->hinted = flags & 1;
    s->signs = flags >> 1;
    s->base = (int)take_number(&r, 1024) - 64;
    s->drop = (int)take_number(&r, s->version == 1 ? 10 : 26);
    for (int k = 0; k < 8; k++)
        if (s->version == 1 || k < 1 || k > 2)
            s->weight[k] = take_number(&r, s->version == 1 ? 1023 : 511);
    const uint64_t changed = s->version == 1 ? 0 : take_number(&r, (UINT64_C(1) << 40) - 1);
    if (s->hinted && inner)
        fail("it is damaged: a stream within a stream has hints");
    if (s->hinted)
        read_hints(&r, s);
    if (s->version == 2)
        read_frequencies(&r, changed, s);
    int64_t *sizes = allocate(s->chunks, sizeof *sizes);
    for (int64_t b = 0; b < s->chunks; b++)
        sizes[b] = (int64_t)take_number(&r, (uint64_t)size);
    for (int k = 0; k < s->axes; k++)
        put(lengths + 8 * k, 8, (uint64_t)s->length[k]);
    const int64_t head = r.at - begin;
    check(get(take(&r, 4), 4), 4, begin, head, checksum(lengths, 8 * s->axes, (uint64_t)s->version),
          "stream's header", -1);

    int32_t *symbols = allocate(product(axes, shape), sizeof *symbols);
    coder1 *d1 = s->version == 1 ? allocate(1, sizeof *d1) : NULL;
    coder2 *d2 = s->version == 2 ? allocate(1, sizeof *d2) : NULL;
    for (int64_t b = 0; b < s->chunks; b++)
        if (sizes[b] > 0) { /* else it is all zeros */
            const uint64_t sum = get(take(&r, 4), 4);
            const uint8_t *from = take(&r, sizes[b]);
            check(sum, 4, from, sizes[b], (uint64_t)b, "stream's chunk", b);
            decode_chunk(s, b, (reader){ from, from + sizes[b] }, d1, d2, symbols);
        }
    if (r.at != r.end)
        fail("it is damaged: a stream does not end where it must");
    for (int k = 0; k < s->axes; k++)
        free(s->level[k]);
    free(s), free(sizes), free(d1), free(d2);
    return symbols;
}

/* ---- 5. exact values, and sets of places ---- */

/* Values of `width` bytes, every bit of them, little-endian, in C order, that are not evenly spaced;
 * new. */
static uint8_t *decode_words(reader r, int width, int is_real, int axes, const int64_t *shape)
{
    const uint8_t *begin = r.at;
    const int64_t values = product(axes, shape);
    if (*take(&r, 1) == 0) { /* as they are */
        const uint64_t sum = get(take(&r, 4), 4);
        const int64_t bytes = times(values, width);
        const uint8_t *from = take(&r, bytes);
        check(sum, 4, from, bytes, 0, "values", -1);
        if (r.at != r.end)
            fail("it is damaged: values do not end where they must");
        uint8_t *copy = allocate(bytes, 1);
        memcpy(copy, from, (size_t)bytes);
        return copy;
    }
    if (*begin != 1)
        fail("it is damaged: exact values are coded in a way that is not known");
    const int zeros = (int)take_number(&r, (uint64_t)(8 * width - 1)); /* low bits, all 0 */
    const uint64_t summed = take_number(&r, UINT64_MAX);               /* set of axes */
    const int64_t first = (int64_t)take_number(&r, (uint64_t)(r.end - r.at));
    const int64_t head = r.at - begin;
    check(get(take(&r, 4), 4), 4, begin, head, 1, "header of exact values", -1);

    /* The low 32 bits as one signed stream; of values of 8 bytes, what they leave as another. */
    const uint8_t *low_half = take(&r, first);
    int32_t *low = decode_stream((reader){ low_half, low_half + first }, axes, shape, 0);
    int32_t *high = width == 8 ? decode_stream(r, axes, shape, 0) : NULL;
    if (!high && r.at != r.end)
        fail("it is damaged: exact values do not end where they must");
    uint64_t *word = allocate(values, sizeof *word);
    for (int64_t i = 0; i < values; i++)
        word[i] = (uint64_t)(int64_t)low[i] + (high ? (uint64_t)(uint32_t)high[i] << 32 : 0);
    free(low), free(high);

    /* Differences along the axes of the set, undone. */
    for (int k = 0; k < axes && values > 0; k++) {
        const int64_t right = product(axes - k - 1, shape + k + 1);
        for (int64_t i = 0; i < values && summed >> k & 1; i++)
            if (i / right % shape[k] > 0)
                word[i] += word[i - right];
    }
    /* Reals are coded as integers in the order of the numbers they stand for. */
    const int count = 8 * width - zeros;
    const uint64_t top = UINT64_C(1) << (count - 1), mask = top | (top - 1);
    uint8_t *bytes = allocate(times(values, width), 1);
    for (int64_t i = 0; i < values; i++) {
        uint64_t v = word[i] & mask;
        if (is_real)
            v = v & top ? v ^ top : ~v & mask;
        put(bytes + width * i, width, v << zeros);
    }
    free(word);
    return bytes;
}

/* A set of places: 1 where a value is missing; new. */
static uint8_t *decode_set(reader r, int axes, const int64_t *shape)
{
    const int64_t values = product(axes, shape);
    const int in_runs = *take(&r, 1);
    const int64_t runs = (int64_t)take_number(&r, (uint64_t)values);
    uint8_t *set = allocate(values, 1);
    if (in_runs > 1)
        fail("it is damaged: a set is coded in a way that is not known");
    if (!in_runs) {
        int32_t *symbols = decode_stream(r, axes, shape, 0);
        for (int64_t i = 0; i < values; i++)
            set[i] = symbols[i] != 0;
        free(symbols);
        return set;
    }
    /* Lengths of runs of 0, of 1, of 0, ...; in two columns where there are as many of both. */
    const int64_t pairs[2] = { runs % 2 ? runs : runs / 2, 2 };
    int32_t *length = decode_stream(r, runs % 2 ? 1 : 2, pairs, 0);
    int64_t filled = 0;
    for (int64_t k = 0; k < runs; k++) {
        if (length[k] < 0 || length[k] > values - filled)
            fail("it is damaged: a set has more places than there are");
        memset(set + filled, (int)(k % 2), (size_t)length[k]);
        filled += length[k];
    }
    if (filled != values)
        fail("it is damaged: a set has fewer places than there are");
    free(length);
    return set;
}

/* Evenly spaced reals, as whole numbers: values of `width` bytes, as above; new. */
static uint8_t *decode_spaced(reader r, int width, int axes, const int64_t *shape)
{
    const int64_t values = product(axes, shape);
    r = open_record(r);
    take_integer(&r, 1, 1); /* the way that brought it here */
    const double first = take_real(&r), num = take_real(&r), den = take_real(&r);
    const int64_t which = take_integer(&r, 0, 3);
    const uint64_t nan = which & 1 ? (uint64_t)take_integer(&r, -INT64_MAX - 1, INT64_MAX) : 0;
    uint8_t *missing = which & 1 ? decode_set(take_stream(&r), axes, shape) : NULL;
    uint8_t *negative = which & 2 ? decode_set(take_stream(&r), axes, shape) : NULL; /* -0 */
    uint8_t *whole = decode_words(take_stream(&r), 4, 0, axes, shape);
    if (r.at != r.end)
        fail("it is damaged: exact values do not end where they must");
    uint8_t *bytes = allocate(times(values, width), 1);
    for (int64_t i = 0; i < values; i++) {
        const int64_t k = (int64_t)(get(whole + 4 * i, 4) ^ 0x80000000) - 0x80000000;
        uint64_t word = word_of((first + (double)k * num) / den, width);
        if (missing && missing[i])
            word = nan;
        if (negative && negative[i])
            word = UINT64_C(1) << (8 * width - 1);
        put(bytes + width * i, width, word);
    }
    free(missing), free(negative), free(whole);
    return bytes;
}

static uint8_t *decode_exact(reader r, int width, int is_real, int axes, const int64_t *shape)
{
    const int spaced = is_real && width >= 4 && r.at < r.end && *r.at == 2;
    return spaced ? decode_spaced(r, width, axes, shape)
                  : decode_words(r, width, is_real, axes, shape);
}

/* ---- 6. transforms ---- */

/* Matrices of bases are held by columns, which lie one after the other. */
static void cosines(int64_t n, int64_t columns, double *matrix)
{
    const double pi = 3.14159265358979323846;
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < n; i++)
            matrix[j * n + i] = sqrt((j ? 2.0 : 1.0) / (double)n) *
                                cos(pi * (double)((2 * i + 1) * j % (4 * n)) / (double)(2 * n));
}

/* Normally distributed numbers, the same ones each time (Philox 4x32-10; Box and Muller): entry
 * `column` of row `row`. */
static double random_normal(int64_t row, int64_t column)
{
    const uint64_t salt = checksum((const uint8_t *)"orth", 4, 0);
    uint32_t key0 = 0, key1 = 0, c[4];
    c[0] = (uint32_t)(column / 2), c[1] = (uint32_t)row;
    c[2] = (uint32_t)salt, c[3] = (uint32_t)(salt >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = UINT64_C(0xD2511F53) * c[0], p1 = UINT64_C(0xCD9E8D57) * c[2];
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ key0;
        c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ key1;
        c[3] = (uint32_t)p0;
        key0 += UINT32_C(0x9E3779B9);
        key1 += UINT32_C(0xBB67AE85);
    }
    const double u = 1 - (double)(((uint64_t)c[0] << 32 | c[1]) >> 12) / 4503599627370496.0;
    const double v = (double)(((uint64_t)c[2] << 32 | c[3]) >> 12) / 4503599627370496.0;
    const double angle = 2 * 3.14159265358979323846 * v;
    return sqrt(-2 * log(u)) * (column % 2 ? sin(angle) : cos(angle));
}

/* Takes out of column v what columns 0 to count - 1 of Q, which are orthonormal, have of it, twice
 * against rounding; returns the length of what is left, as a share of what there was. */
static double orthogonalize(int64_t n, const double *const *Q, int64_t count, double *v)
{
    double largest = 0, whole = 0, left = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(v[i]));
    for (int64_t i = 0; i < n && largest > 0; i++) {
        v[i] /= largest;
        whole += v[i] * v[i];
    }
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < count; j++) {
            double inner = 0;
            for (int64_t i = 0; i < n; i++)
                inner += Q[j][i] * v[i];
            for (int64_t i = 0; i < n; i++)
                v[i] -= inner * Q[j][i];
        }
    for (int64_t i = 0; i < n; i++)
        left += v[i] * v[i];
    for (int64_t i = 0; i < n && left > 0; i++)
        v[i] /= sqrt(left);
    return whole > 0 ? sqrt(left / whole) : 0;
}

/* Makes the columns orthonormal, each beside those before it. Columns that depend on those before
 * them, but for rounding, were lost: random ones take their places, after all others. */
static void orthonormalize(int64_t n, int64_t columns, double epsilon, double *matrix)
{
    const double least = 8 * epsilon * ((double)columns + 16);
    double **Q = allocate(columns, sizeof *Q), *copy = allocate(n, sizeof *copy);
    int64_t *lost = allocate(columns, sizeof *lost), found = 0, missing = 0;
    for (int64_t j = 0; j < columns; j++) {
        memcpy(copy, matrix + j * n, (size_t)n * sizeof *copy);
        if (orthogonalize(n, (const double *const *)Q, found, copy) > least) {
            Q[found] = matrix + j * n;
            memcpy(Q[found++], copy, (size_t)n * sizeof *copy);
        } else {
            lost[missing++] = j;
        }
    }
    /* They stand in the reverse order of the places they take. */
    for (int64_t k = 0; k < missing; k++) {
        double *v = matrix + lost[missing - 1 - k] * n;
        for (int64_t i = 0; i < n; i++)
            v[i] = random_normal(i, k);
        orthogonalize(n, (const double *const *)Q, found, v);
        Q[found++] = v;
    }
    free(Q), free(copy), free(lost);
}

/* Wavelets with p vanishing moments: Daubechies' filters inside, and near both ends what is left
 * beside them. Averages S, at first the n unit vectors, become fewer averages and differences,
 * level by level; a difference is a column. */
static void wavelets(int p, int64_t n, int64_t columns, double *matrix)
{
    static const double taps[3][8] = {
        { 0.4829629131445341434, 0.8365163037378079056, 0.2241438680420133810,
          -0.1294095225512603812 },
        { 0.3326705529500826160, 0.8068915093110925765, 0.4598775021184915701,
          -0.1350110200102545887, -0.0854412738820266617, 0.0352262918857095366 },
        { -0.0757657147895022132, -0.0296355276460024918, 0.4976186676327749900,
          0.8037387518051320809, 0.2978577956053060514, -0.0992195435766335326,
          -0.0126039672620313038, 0.0322231006040514679 },
    };
    const double *h = taps[p - 2], *Q[32];
    double *S = allocate(times(n, n), sizeof *S), *power = allocate(n, sizeof *power);
    int64_t m = n, before = 0; /* how many averages there are, and were */
    for (int64_t i = 0; i < n; i++)
        S[i * n + i] = 1;
    for (;; m = before) {
        /* the last time all is one window, and stays */
        const int last = m < 6 * p - 4;
        const int64_t inner = last ? 0 : (m - 4 * p) / 2 + 1;
        double *T = allocate(times(m, n), sizeof *T);
        before = last ? m : inner + 2 * p;
        for (int64_t k = 0; k < inner; k++)
            for (int t = 0; t < 2 * p; t++)
                for (int64_t i = 0; i < n; i++) {
                    const double s = S[(p + 2 * k + t) * n + i], g = h[2 * p - 1 - t];
                    T[(p + k) * n + i] += h[t] * s;
                    T[(before + p - 1 + k) * n + i] += (t % 2 ? -g : g) * s;
                }
        for (int side = 0; side < 2 - last; side++) {
            const int64_t from = side ? p + 2 * inner : 0;
            const int64_t to = last || side ? m : 3 * p - 2;
            const int rows = (int)(to - from) - (last ? 0 : p - 1);
            int count = 0;
            for (int k = 0; k < p - 1 && !last; k++) { /* filters that reach into the window */
                Q[count++] = T + (p + (side ? inner - 1 - k : k)) * n;
                Q[count++] = T + (before + p - 1 + (side ? inner - 1 - k : k)) * n;
            }
            for (int r = 0; r < rows; r++) {
                const int64_t place = last    ? r
                                      : r < p ? (side ? p + inner : 0) + r
                                              : before + (side ? p - 1 + inner : 0) + r - p;
                double *v = T + place * n;
                for (int64_t i = 0; i < n; i++)
                    power[i] = pow((double)(side ? n - 1 - i : i), r);
                for (int64_t k = from; k < to; k++) {
                    double share = k == (side ? m - 1 - (r - p) : r - p);
                    for (int64_t i = 0; i < n && r < p; i++)
                        share += power[i] * S[k * n + i];
                    for (int64_t i = 0; i < n && share != 0; i++)
                        v[i] += share * S[k * n + i];
                }
                orthogonalize(n, Q, count, v);
                Q[count++] = v;
            }
        }
        for (int64_t j = last ? 0 : before; j < smaller(m, columns); j++)
            memcpy(matrix + j * n, T + j * n, (size_t)n * sizeof *matrix);
        free(S);
        S = T;
        if (last)
            break;
    }
    free(S), free(power);
}

/* Columns of a basis that is not stored: cosines or wavelets. */
static void given_basis(int64_t kind, int64_t n, int64_t columns, double *matrix)
{
    if (n > LONGEST_GIVEN)
        fail("it is damaged: cosines or wavelets of %" PRId64 " values", n);
    if (kind == 1)
        cosines(n, columns, matrix);
    else
        wavelets((int)kind - 1, n, columns, matrix);
}

/* A learned basis: a record within a stream. */
static void learned_basis(reader r, int wide, int64_t n, int64_t columns, double *matrix)
{
    const int64_t shape[2] = { n, columns };
    r = open_record(r);
    const double step = take_real(&r);
    const int64_t turned = take_integer(&r, 0, 5);
    /* The scales of the columns: what makes them of length 1 again does without them. */
    free(decode_stream(take_stream(&r), 1, &columns, 0));
    int32_t *q = decode_stream(take_stream(&r), 2, shape, 0);
    if (!(step > 0) || turned == 2)
        fail("it is damaged: a basis has step %g and columns of kind %" PRId64, step, turned);
    double *plain = allocate(times(n, columns), sizeof *plain);
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < n; i++)
            plain[j * n + i] = q[i * columns + j];
    free(q);
    memcpy(matrix, plain, (size_t)(n * columns) * sizeof *plain);
    if (turned) { /* each column is a sum of cosines or wavelets */
        double *basis = allocate(n * n, sizeof *basis);
        given_basis(turned, n, n, basis);
        memset(matrix, 0, (size_t)(n * columns) * sizeof *matrix);
        for (int64_t j = 0; j < columns; j++)
            for (int64_t k = 0; k < n; k++)
                for (int64_t i = 0; i < n && plain[j * n + k] != 0; i++)
                    matrix[j * n + i] += basis[k * n + i] * plain[j * n + k];
        free(basis);
    }
    free(plain);
    orthonormalize(n, columns, wide ? 2.220446049250313e-16 : 1.1920928955078125e-07, matrix);
}

/* x, of left x columns x right, times a matrix of n x columns along the middle axis; new. Runs of
 * values that stay in a processor's cache are done one after the other. */
static double *multiply(const double *x, int64_t left, int64_t columns, int64_t right,
                        const double *matrix, int64_t n)
{
    enum { RUN = 1024 };
    double *y = allocate(times(times(left, n), right), sizeof *y);
    for (int64_t l = 0; l < left; l++)
        for (int64_t start = 0; start < right; start += RUN) {
            const int64_t run = smaller(RUN, right - start);
            for (int64_t j = 0; j < columns; j++) {
                const double *from = x + (l * columns + j) * right + start;
                const double *column = matrix + j * n;
                double *to = y + l * n * right + start;
                if (right == 1) {
                    for (int64_t i = 0; i < n && *from != 0; i++)
                        to[i] += column[i] * *from;
                    continue;
                }
                for (int64_t i = 0; i < n; i++, to += right)
                    for (int64_t k = 0; k < run; k++)
                        to[k] += column[i] * from[k];
            }
        }
    return y;
}

/* The shape in which a block is transformed: axes of length 1 are left out; with folds 1, an axis
 * longer than 2048 becomes several, with more every longer one becomes two, the second as long; the
 * block is lengthened along it where that needs it. */
typedef struct frame {
    int modes;
    int64_t whole[AXES]; /* the block, lengthened */
    int64_t mode[AXES];  /* as it is transformed */
} frame;

static void make_frame(int axes, const int64_t *shape, int folds, frame *f)
{
    f->modes = 0;
    for (int k = 0; k < axes; k++) {
        int64_t side[8], left = shape[k];
        int count = 0;
        while (folds < 2 && left > 2048 && count < 7) {
            int64_t best = 0; /* the divisor nearest to 256, of equals the smaller */
            for (int64_t c = 128; c <= 512; c++)
                if (left % c == 0 && (!best || llabs(c - 256) < llabs(best - 256)))
                    best = c;
            side[count] = best ? best : 256;
            left = divide_up(left, side[count++]);
        }
        if (folds > 1 && left > folds) {
            side[count++] = folds;
            left = divide_up(left, folds);
        }
        f->whole[k] = shape[k];
        if (shape[k] == 1)
            continue;
        if (!folds || f->modes + count + 1 + (axes - k - 1) > 32) {
            f->mode[f->modes++] = shape[k];
            continue;
        }
        f->whole[k] = f->mode[f->modes++] = left;
        while (count > 0) {
            f->mode[f->modes++] = side[--count];
            f->whole[k] *= side[count];
        }
    }
    if (f->modes == 0)
        f->mode[f->modes++] = 1;
}

/* The values of a transformed block; new. */
/* What the block was lengthened by is left out again; x is used up. */
static double *cut_to_block(double *x, const frame *f, int axes, const int64_t *shape)
{
    int64_t index[AXES] = { 0 };
    const int64_t n = product(axes, shape);
    double *values = allocate(n, sizeof *values);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0;
        for (int k = 0; k < axes; k++)
            at = at * f->whole[k] + index[k];
        values[i] = x[at];
        next_place(axes, shape, index);
    }
    free(x);
    return values;
}

/* The values of a block coded as a tensor train; new. Symbols are rows of cores times powers of
 * 2^(1/4) and over the step; the cores are multiplied from the first on. */
static double *decode_train(reader *r, int folds, int axes, const int64_t *shape)
{
    frame f;
    int64_t rank[AXES + 1] = { 1 }, count = 0, values = 0, rows = 1, left = 1, level = 0;
    make_frame(axes, shape, folds, &f);
    part_now = "ranks";
    const double step = take_real(r);
    if (!(step > 0))
        fail("it is damaged: its step is %g", step);
    rank[f.modes] = 1;
    for (int k = 1; k < f.modes; k++) { /* no more than there are rows or columns */
        left = times(left, f.mode[k - 1]);
        rank[k] = take_integer(r, 1, smaller(left, product(f.modes - k, f.mode + k)));
        count += rank[k];
    }
    for (int k = 0; k < f.modes; k++)
        values += times(times(rank[k], f.mode[k]), rank[k + 1]);
    if (values > product(f.modes, f.mode))
        fail("it is damaged: its cores have more values than the block");
    int32_t *levels = count ? decode_stream(take_stream(r), 1, &count, 0) : NULL;
    double *x = allocate(1, sizeof *x);
    x[0] = 1;
    part_now = "cores";
    for (int k = 0, at = 0; k < f.modes; k++) {
        const int64_t n = f.mode[k], core[3] = { rank[k], n, rank[k + 1] }, row = n * core[2];
        const int cosine = (int)take_integer(r, 0, n <= LONGEST_GIVEN);
        int32_t *q = decode_stream(take_stream(r), 3, core, 0);
        double *c = allocate(product(3, core), sizeof *c);
        for (int64_t a = 0; a < core[0]; a++) {
            level += k ? levels[at++] : 0;
            if (level < -400 || level > 400)
                fail("it is damaged: a scale of level %" PRId64, level);
            const double unit = k ? exp2(-(double)level / 4) : step;
            for (int64_t i = 0; i < row; i++)
                c[a * row + i] = (double)q[a * row + i] * unit;
        }
        free(q);
        if (cosine) {
            double *basis = allocate(times(n, n), sizeof *basis);
            cosines(n, n, basis);
            double *y = multiply(c, core[0], n, core[2], basis, n);
            free(c), free(basis);
            c = y;
        }
        double *y = multiply(x, rows, core[0], 1, c, row);
        free(x), free(c);
        x = y, rows = times(rows, n);
    }
    free(levels);
    return cut_to_block(x, &f, axes, shape);
}

static double *decode_transform(reader *r, int wide, int folds, int axes, const int64_t *shape)
{
    frame f;
    int64_t box[AXES] = { 0 };
    double *matrix[AXES] = { NULL }, shift[2];
    make_frame(axes, shape, folds, &f);
    part_now = "bases";
    const double step = take_real(r);
    for (int i = 0; i < 2; i++)
        shift[i] = ldexp((double)take_integer(r, -4096, 4096), -12);
    if (!(step > 0))
        fail("it is damaged: its step is %g", step);
    for (int k = 0; k < f.modes; k++) {
        const int64_t kind = take_integer(r, 0, 5), n = f.mode[k];
        box[k] = take_integer(r, kind == 0 ? n : 1, n);
        if (kind == 0)
            continue;
        matrix[k] = allocate(times(n, box[k]), sizeof **matrix);
        if (kind == 2)
            learned_basis(take_stream(r), wide, n, box[k], matrix[k]);
        else
            given_basis(kind, n, box[k], matrix[k]);
    }
    part_now = "coefficients";
    int32_t *q = decode_stream(take_stream(r), f.modes, box, 0);
    double *x = allocate(product(f.modes, box), sizeof *x);
    for (int64_t i = 0, n = product(f.modes, box); i < n; i++) {
        const double a = fabs((double)q[i]);
        const double v = a > 0 ? (a + shift[a > 1]) * step : 0;
        x[i] = q[i] < 0 ? -v : v;
    }
    free(q);
    for (int pass = 0; pass < f.modes; pass++) { /* the mode that grows least comes first */
        int next = -1;
        for (int k = 0; k < f.modes; k++)
            if (matrix[k] && (next < 0 || (double)f.mode[k] / (double)box[k] <
                                              (double)f.mode[next] / (double)box[next]))
                next = k;
        if (next < 0)
            break;
        double *y = multiply(x, product(next, box), box[next],
                             product(f.modes - next - 1, box + next + 1), matrix[next],
                             f.mode[next]);
        free(x), free(matrix[next]);
        x = y, matrix[next] = NULL;
        box[next] = f.mode[next];
    }
    const int64_t n = product(axes, shape);
    double *values = cut_to_block(x, &f, axes, shape);
    part_now = "corrections";
    if (take_integer(r, 0, 1)) {
        const double bound = take_real(r);
        int32_t *c = decode_stream(take_stream(r), axes, shape, 0);
        for (int64_t i = 0; i < n; i++)
            values[i] += 2 * bound * c[i];
        free(c);
    }
    return values;
}

/* ---- 7. prediction ---- */

/* The block as it is predicted: without axes of length 1. */
typedef struct field {
    int axes, wide, lorenzo, finer, finest;
    int64_t size, length[AXES], stride[AXES];
    double step;
    uint32_t apart;        /* set of axes that nothing is predicted along */
    uint8_t rule[64][32];  /* of a level and axis: twice its weight, plus 1 for cubics */
    double *y;             /* values */
    const uint8_t *set;    /* of missing values, or NULL */
    const uint8_t *escape; /* values that no symbol gives, in the order in which they come */
} field;

/* All arithmetic of predictions is in the type that Lode used, rounded after every operation, as
 * errors would add up: f32 (in which a sum or product of doubles rounds the same) or f64. */
static double rounded(const field *f, double x)
{
    return f->wide ? x : (double)(float)x;
}
static double product_of(const field *f, double a, double b)
{
    const double v = a * b;
    return rounded(f, v);
}
static double sum_of(const field *f, double a, double b)
{
    const double v = a + b;
    return rounded(f, v);
}

/* Values that are known and coded together: those on odd multiples of 2^level along the axes of the
 * set `odd`, on even ones along the others, anywhere along axes apart. */
typedef struct lattice {
    int level;
    uint32_t odd;
    int64_t size;
} lattice;

static int in_set(uint32_t set, int k)
{
    return set >> k & 1;
}

static int64_t lattice_counts(const field *f, lattice c, int coarsest, int64_t *count)
{
    const int64_t s = INT64_C(1) << c.level;
    for (int k = 0; k < f->axes; k++) {
        const int64_t start = in_set(c.odd, k) ? s : 0;
        count[k] = in_set(f->apart, k) ? f->length[k]
                   : coarsest          ? 1
                                       : divide_up(f->length[k] - start, 2 * s);
    }
    return product(f->axes, count);
}

/* All lattices in the order of coding, from coarse to fine; new. */
static lattice *list_lattices(const field *f, int levels, int64_t *total)
{
    int64_t room = 64, n = 0, count[AXES];
    lattice *list = allocate(room, sizeof *list);
    list[n++] = (lattice){ levels, 0, 0 };
    list[0].size = lattice_counts(f, list[0], 1, count);
    for (int level = levels - 1; level >= 0; level--) {
        uint32_t can = 0; /* axes that can be odd */
        int axes = 0;
        for (int k = 0; k < f->axes; k++)
            if (!in_set(f->apart, k) && f->length[k] > INT64_C(1) << level)
                can |= UINT32_C(1) << k, axes++;
        for (int members = 1; members <= axes; members++)
            for (uint32_t odd = (0 - can) & can; odd; odd = (odd - can) & can) {
                int ones = 0; /* odd runs through the sets within `can`, in order of their bits */
                for (int k = 0; k < f->axes; k++)
                    ones += in_set(odd, k);
                if (ones != members)
                    continue;
                if (n == room) {
                    lattice *longer = allocate(2 * room, sizeof *list);
                    memcpy(longer, list, (size_t)n * sizeof *list);
                    free(list);
                    list = longer, room *= 2;
                }
                list[n] = (lattice){ level, odd, 0 };
                list[n].size = lattice_counts(f, list[n], 0, count);
                n++;
            }
    }
    *total = n;
    return list;
}

/* Adds to p what an axis says of the value at y: place i of n, values s and 3 s away. */
static double add_axis(const field *f, double p, const double *y, int k, int64_t i, int64_t s,
                       int cubic, double weight)
{
    const int64_t n = f->length[k], d = s * f->stride[k];
    const int right = i + s < n, left3 = i >= 3 * s, right3 = i + 3 * s < n;
    double c[4] = { 0, 1, 0, 0 }; /* of the values 3 s and s before, s and 3 s after */
    if (right && cubic && left3 && right3)
        c[0] = c[3] = -0.0625, c[1] = c[2] = 0.5625;
    else if (right && cubic && left3)
        c[0] = -0.125, c[1] = 0.75, c[2] = 0.375;
    else if (right && cubic && right3)
        c[1] = 0.375, c[2] = 0.75, c[3] = -0.125;
    else if (right)
        c[1] = c[2] = 0.5;
    else if (cubic && left3)
        c[0] = -0.5, c[1] = 1.5;
    weight = rounded(f, weight);
    if (k == f->axes - 1 && right && cubic && left3 && right3) { /* summed in pairs */
        const double outer = product_of(f, product_of(f, weight, c[0]),
                                        sum_of(f, y[-3 * d], y[3 * d]));
        const double inner = product_of(f, product_of(f, weight, c[1]), sum_of(f, y[-d], y[d]));
        return sum_of(f, p, sum_of(f, outer, inner));
    }
    for (int t = 0; t < 4; t++)
        if (c[t] != 0)
            p = sum_of(f, p, product_of(f, product_of(f, weight, c[t]), y[(2 * t - 3) * d]));
    return p;
}

/* The value of a place from its prediction and its symbol. */
static void settle(field *f, int64_t at, double p, int32_t q, double step)
{
    const int width = f->wide ? 8 : 4;
    if (q == ESCAPE) {
        f->y[at] = real_of(get(f->escape, width), width);
        f->escape += width;
    } else if (f->set && f->set[at]) {
        f->y[at] = isfinite(p) ? p : 0;
    } else {
        f->y[at] = sum_of(f, p, product_of(f, (double)q, step));
    }
}

static void fill_lattice(field *f, lattice c, int coarsest, const int32_t *q)
{
    const int64_t s = INT64_C(1) << c.level;
    const double alpha = 1 + f->finer / 8.0, beta = 1 + f->finest / 8.0;
    int64_t count[AXES], index[AXES] = { 0 };
    double weight[AXES], finer = 1;
    int total = 0, axes = 0;
    lattice_counts(f, c, coarsest, count);
    for (int l = 0; l < c.level && finer < beta; l++)
        finer *= alpha;
    const double step = rounded(f, f->step / (finer < beta ? finer : beta));
    for (int k = 0; k < f->axes; k++)
        if (in_set(c.odd, k))
            total += f->rule[c.level][k] >> 1, axes++;
    for (int k = 0; k < f->axes; k++)
        weight[k] = total ? (double)(f->rule[c.level][k] >> 1) / (double)total : 1 / (double)axes;
    for (int64_t j = 0; j < c.size; j++) {
        int64_t at = 0, place[AXES];
        double p = 0;
        for (int k = 0; k < f->axes; k++) {
            const int64_t start = in_set(c.odd, k) ? s : 0;
            place[k] = in_set(f->apart, k) ? index[k] : start + 2 * s * index[k];
            at += place[k] * f->stride[k];
        }
        for (int k = 0; k < f->axes; k++)
            if (in_set(c.odd, k))
                p = add_axis(f, p, f->y + at, k, place[k], s, f->rule[c.level][k] & 1, weight[k]);
        settle(f, at, p, q[j], step);
        next_place(f->axes, count, index);
    }
}

/* Lorenzo: a value is foretold by inclusion and exclusion from the other corners of a box. First
 * what earlier rows say; then, along a row, how far the value before was from that. */
static void fill_lorenzo(field *f, const int32_t *q)
{
    const int last = f->axes - 1, chain = !in_set(f->apart, last);
    const int64_t n = f->length[last], thickness = (1 << 20) / f->stride[0];
    const int64_t slab = thickness > 1 ? thickness : 1; /* indices of the first axis */
    const double step = rounded(f, f->step);
    int64_t index[AXES] = { 0 };
    for (int64_t row = 0; row < f->size; row += n) {
        double value_before = 0, said_before = 0;
        int axis[8], axes = 0;
        for (int k = 0; k < last && axes < 8; k++)
            if (!in_set(f->apart, k) && (k > 0 ? index[k] : index[0] % slab) > 0)
                axis[axes++] = k;
        for (int64_t i = 0; i < n; i++) {
            double said = 0;
            for (int corner = 1; corner < 1 << axes; corner++) {
                int64_t at = row + i;
                double sign = -1;
                for (int a = 0; a < axes; a++)
                    if (corner >> a & 1)
                        sign = -sign, at -= f->stride[axis[a]];
                said = sum_of(f, said, sign * f->y[at]);
            }
            const double p = chain ? sum_of(f, said, sum_of(f, value_before, -said_before)) : said;
            settle(f, row + i, p, q[row + i], step);
            value_before = f->y[row + i];
            said_before = said;
        }
        next_place(last, f->length, index);
    }
}

/* The symbols of all lattices: a stream for each large one, in its own shape; small ones that
 * follow each other share a stream, as a vector. */
static int32_t *predicted_symbols(reader *r, const field *f, const lattice *list, int64_t total)
{
    int32_t *q = allocate(f->size, sizeof *q);
    int64_t at = 0, count[AXES];
    for (int64_t c = 0; c < total;) {
        int64_t size = 0;
        int axes = 1;
        for (; c < total && list[c].size < 1 << 13; c++)
            size += list[c].size;
        if (size == 0) {
            size = lattice_counts(f, list[c], c == 0, count);
            axes = f->axes;
            c++;
        } else {
            count[0] = size;
        }
        int32_t *part = decode_stream(take_stream(r), axes, count, 0);
        memcpy(q + at, part, (size_t)size * sizeof *q);
        free(part);
        at += size;
    }
    return q;
}

/* The values of a predicted block; new. */
static double *decode_prediction(reader *r, int wide, int axes, const int64_t *shape,
                                 const uint8_t *set)
{
    field *f = allocate(1, sizeof *f);
    int levels = 0;
    part_now = "rules of prediction";
    f->wide = wide, f->set = set;
    for (int k = 0; k < axes; k++)
        if (shape[k] != 1)
            f->length[f->axes++] = shape[k];
    if (f->axes == 0)
        f->length[f->axes++] = 1;
    f->size = product(f->axes, f->length);
    for (int k = 0; k < f->axes; k++)
        f->stride[k] = product(f->axes - k - 1, f->length + k + 1);
    take_integer(r, f->axes, f->axes);
    for (int k = 0; k < f->axes; k++)
        take_integer(r, f->length[k], f->length[k]);
    f->lorenzo = (int)take_integer(r, 0, 1);
    f->step = take_real(r);
    if (!(f->step > 0))
        fail("it is damaged: its step is %g", f->step);
    f->apart = (uint32_t)take_integer(r, 0, UINT32_MAX);
    if (!f->lorenzo) {
        f->finer = (int)take_integer(r, 0, 1024);
        f->finest = (int)take_integer(r, 0, 1024);
        for (int k = 0; k < f->axes; k++)
            while (!in_set(f->apart, k) && INT64_C(1) << levels < f->length[k])
                levels++;
        for (int l = 0; l < levels; l++)
            for (int k = 0; k < f->axes && k < 8; k++)
                if (!in_set(f->apart, k) && f->length[k] > INT64_C(1) << l)
                    f->rule[l][k] = (uint8_t)(take_integer(r, -32, -1) + 32);
        for (int l = 0; l < levels; l++) /* axes beyond the first 8 share the eighth's */
            for (int k = 8; k < f->axes; k++)
                f->rule[l][k] = f->rule[l][7];
    }
    f->y = allocate(f->size, sizeof *f->y);
    if (f->size > 0) {
        part_now = "symbols";
        int64_t lattices = 0, escapes = 0;
        lattice *list = f->lorenzo ? NULL : list_lattices(f, levels, &lattices);
        int32_t *q = f->lorenzo ? decode_stream(take_stream(r), f->axes, f->length, 0)
                                : predicted_symbols(r, f, list, lattices);
        uint8_t *values = NULL;
        for (int64_t i = 0; i < f->size; i++)
            escapes += q[i] == ESCAPE;
        part_now = "values that no symbol gives";
        if (escapes)
            values = decode_exact(take_stream(r), wide ? 8 : 4, 1, 1, &escapes);
        f->escape = values;
        if (f->lorenzo)
            fill_lorenzo(f, q);
        for (int64_t c = 0, at = 0; c < lattices; at += list[c++].size)
            fill_lattice(f, list[c], c == 0, q + at);
        free(list), free(q), free(values);
    }
    double *y = f->y;
    free(f);
    return y;
}

/* ---- 8. blocks ---- */

/* Rounded to the nearest f16, ties to even. */
static uint64_t half_of(double x)
{
    const double a = fabs(x);
    const uint64_t sign = signbit(x) ? 0x8000 : 0;
    int e;
    if (isnan(x))
        return 0x7e00;
    if (a >= 65520)
        return sign | 0x7c00;
    if (a < 6.103515625e-05) /* 2^-14: multiples of 2^-24 */
        return sign | (uint64_t)rint(ldexp(a, 24));
    const double m = frexp(a, &e);
    return sign | ((uint64_t)(e + 13) * 1024 + (uint64_t)rint(ldexp(m, 11)));
}

/* A value as the type stores it; whole numbers are rounded, ties to even, and held in range. */
static uint64_t stored_value(double x, const type *t)
{
    if (t->class == 'b')
        return x != 0;
    if (strcmp(t->name, "f16") == 0)
        return half_of(x);
    if (t->class == 'h') { /* bf16: the upper half of an f32 */
        const uint64_t word = word_of(x, 4);
        return isnan(x) ? word >> 16 | 0x40 : (word + 0x7fff + (word >> 16 & 1)) >> 16;
    }
    if (t->class == 'f' || t->class == 'c')
        return word_of(x, t->width);
    const int is_signed = t->class == 'i';
    const double top = ldexp(1, 8 * t->width - is_signed), bottom = is_signed ? -top : 0;
    const double v = isnan(x) ? 0 : rint(x);
    if (v >= top)
        return UINT64_MAX >> (64 - 8 * t->width + is_signed);
    if (v <= bottom)
        return is_signed ? UINT64_C(1) << (8 * t->width - 1) : 0;
    return v < 0 ? 0 - (uint64_t)-v : (uint64_t)v;
}

/* The values of a block as its type stores them, from its record; new. */
static uint8_t *decode_block(reader r, const type *t, int axes, const int64_t *block)
{
    int64_t shape[AXES];
    memcpy(shape, block, (size_t)axes * sizeof *shape);
    if (t->class == 'c') /* pairs of reals */
        shape[axes++] = 2;
    part_now = "record";
    r = open_record(r);
    take_integer(&r, 1, 1);                  /* version */
    take_integer(&r, -INT64_MAX, INT64_MAX); /* values a block may have: see cut_array */
    const int64_t kind = take_integer(&r, 0, 3);
    if (kind == 0) {
        part_now = "exact values";
        const int is_real = strchr("fhc", t->class) != NULL;
        uint8_t *bytes = decode_exact(take_stream(&r), t->width, is_real, axes, shape);
        if (r.at != r.end)
            take_real(&r); /* entries of this value count as missing: they are there all the same */
        if (r.at != r.end)
            fail("it is damaged: it does not end where it must");
        return bytes;
    }
    const int wide = (int)take_integer(&r, 0, 1), folds = (int)take_integer(&r, 0, 1024);
    const int64_t missing = take_integer(&r, 0, 3), n = product(axes, shape);
    const double value = missing == 2 ? take_real(&r) : (double)NAN;
    uint8_t *set = NULL, *infinite[2] = { NULL };
    part_now = "missing values";
    if (missing)
        set = decode_set(take_stream(&r), axes, shape);
    for (int i = 0; i < 2 && missing == 3; i++)
        infinite[i] = decode_set(take_stream(&r), axes, shape);
    double *x = kind == 1   ? decode_transform(&r, wide, folds, axes, shape)
                : kind == 2 ? decode_prediction(&r, wide, axes, shape, set)
                            : decode_train(&r, folds, axes, shape);
    if (r.at != r.end)
        fail("it is damaged: it does not end where it must");
    uint8_t *bytes = allocate(times(n, t->width), 1);
    for (int64_t i = 0; i < n; i++) {
        double v = set && set[i] ? value : x[i];
        for (int k = 0; k < 2 && missing == 3; k++)
            v = infinite[k][i] ? (k ? -INFINITY : INFINITY) : v;
        put(bytes + t->width * i, t->width, stored_value(v, t));
    }
    free(set), free(infinite[0]), free(infinite[1]), free(x);
    return bytes;
}

/* ---- 9. the array ---- */

/* An array, or a segment of one, in blocks: how long they are along each axis, the last ones aside,
 * and how many there are. */
typedef struct grid {
    int axes;
    int64_t shape[AXES], side[AXES], parts[AXES];
} grid;

static void set_parts(grid *g, int k, int64_t parts)
{
    g->side[k] = divide_up(g->shape[k], parts);
    g->parts[k] = divide_up(g->shape[k], g->side[k]);
}

/* Values of a block whose sides are at most `longest`, but for axis `other`, where it is `side`. */
static double block_values(const grid *g, const int64_t *sides, int64_t longest, int other,
                           int64_t side)
{
    double values = 1;
    for (int k = 0; k < g->axes; k++)
        values *= (double)(k == other ? side : smaller(sides[k], longest));
    return values;
}

/* Blocks of at most `most` values with even sides: the largest length that all axes may have, then
 * fewer parts where there is room, along the shortest side first. */
static void cut_evenly(grid *g, double most)
{
    int64_t longest = 0;
    for (int64_t more = INT64_C(1) << 60; more > 0; more /= 2)
        if (block_values(g, g->shape, longest + more, -1, 0) <= most)
            longest += more;
    for (int k = 0; k < g->axes; k++)
        set_parts(g, k, divide_up(g->shape[k], longest));
    for (int next = 0; next >= 0;) {
        next = -1;
        for (int k = 0; k < g->axes; k++)
            if (g->parts[k] > 1 && (next < 0 || g->side[k] < g->side[next]) &&
                block_values(g, g->side, INT64_MAX, k, divide_up(g->shape[k], g->parts[k] - 1)) <=
                    most)
                next = k;
        if (next >= 0)
            set_parts(g, next, g->parts[next] - 1);
    }
}

/* Blocks of at most `limit` values of `size` bytes, leading axes first, so that each is one run of
 * the array; 0: as many as there are, or a 48th of a large array; 1: the same, with 16 rows of the
 * first axis at least, or as many as 2^28 bytes hold; less than 0: with even sides. */
static void cut_array(grid *g, int64_t limit, double size)
{
    double bytes = size, most;
    int64_t thick = 1;
    for (int k = 0; k < g->axes; k++) {
        g->side[k] = g->shape[k], g->parts[k] = 1;
        bytes *= (double)g->shape[k];
    }
    most = limit > 1 ? (double)limit * size : bytes;
    if ((limit == 0 || limit == 1) && bytes > 134217728) { /* 2^27; blocks of 2^22 to 2^26 bytes */
        most = fmin(fmax(bytes / 48, 4194304), 67108864);
        if (limit == 1) {
            const double row = bytes / (double)g->shape[0];
            for (thick = 16; thick > 1 && (double)thick * row > 268435456;)
                thick /= 2;
            if ((double)thick * row > most)
                most = fmin(most, 33554432);
        }
    }
    if (limit < 0 && bytes > 0)
        cut_evenly(g, -(double)limit);
    for (int k = 0; k < g->axes && limit >= 0 && bytes > most; k++) {
        const double row = bytes / (double)g->side[k];
        const int64_t least = k ? 1 : thick;
        const int64_t rows = most / row < (double)least ? least : (int64_t)(most / row);
        set_parts(g, k, divide_up(g->shape[k], smaller(rows, g->shape[k])));
        bytes = row * (double)g->side[k];
    }
}

/* Puts the values of a block where it lies in the array. */
static void place_block(const file *f, const int64_t *start, const int64_t *count, int64_t size,
                        const uint8_t *values, uint8_t *array)
{
    const int64_t run = f->axes ? count[f->axes - 1] : 1, n = product(f->axes, count);
    int64_t index[AXES] = { 0 };
    for (int64_t i = 0; i < n; i += run) {
        int64_t at = 0;
        for (int k = 0; k < f->axes; k++)
            at = at * f->shape[k] + start[k] + index[k];
        memcpy(array + at * size, values + i * size, (size_t)(run * size));
        next_place(f->axes - 1, count, index);
    }
}

/* The array, from all members of the file; new. It is a row of segments along one axis, each cut
 * into blocks by itself; only where parts were added to a file are there more than one. */
static uint8_t *decode_array(file *f)
{
    const int64_t size = f->type.width * (f->type.class == 'c' ? 2 : 1);
    uint8_t *array = allocate(times(product(f->axes, f->shape), size), 1);
    int64_t axis = 0, from = 0, end = f->axes ? f->shape[0] : 1, limit = 0, number = 0;
    reader table = { NULL, NULL }, record;
    const int one = !next_member(f, "segments", &table);
    do {
        int64_t blocks = 1, said = 0;
        grid g = { .axes = f->axes };
        memcpy(g.shape, f->shape, sizeof g.shape);
        if (!one) { /* a row of the table */
            axis = (int64_t)get(take(&table, 8), 8), end = (int64_t)get(take(&table, 8), 8);
            said = (int64_t)get(take(&table, 8), 8);
            if (axis < 0 || axis >= f->axes || end < from || end > f->shape[axis])
                fail("its table of segments is damaged: one ends at %" PRId64 " of axis %" PRId64,
                     end, axis);
            g.shape[axis] = end - from;
        }
        for (int64_t b = 0; b < blocks; b++) {
            int64_t start[AXES] = { 0 }, count[AXES] = { 0 }, rest = b;
            char name[32];
            block_now = number, part_now = "member";
            snprintf(name, sizeof name, "coded.%" PRId64, number);
            if (!next_member(f, name, &record))
                fail("it has no member %s where it must be: it is damaged", name);
            if (number++ == 0) { /* the first record says how large blocks are */
                reader r = open_record(record);
                take_integer(&r, 1, 1);
                limit = take_integer(&r, -INT64_MAX, INT64_MAX);
            }
            if (b == 0) {
                cut_array(&g, limit, (double)size);
                blocks = product(g.axes, g.parts);
            }
            for (int k = g.axes - 1; k >= 0; k--) {
                start[k] = rest % g.parts[k] * g.side[k];
                count[k] = smaller(g.side[k], g.shape[k] - start[k]);
                rest /= g.parts[k];
            }
            uint8_t *values = decode_block(record, &f->type, g.axes, count);
            start[axis] += from;
            place_block(f, start, count, size, values, array);
            free(values);
        }
        if (!one && said != number)
            fail("its table of segments is damaged: %" PRId64 " blocks where there are %" PRId64,
                 said, number);
        from = end;
    } while (table.at < table.end);
    if (f->axes && end != f->shape[axis])
        fail("its table of segments is damaged: it ends at %" PRId64 " of axis %" PRId64, end,
             axis);
    next_member(f, "sums", &record); /* of the errors: nothing that values need */
    json member;
    if (next_entry(&f->members, NULL, &member))
        fail("it has members that its shape has no need of: it is damaged");
    return array;
}

/* A variable that was kept as it is: its bytes are the array. */
static uint8_t *plain_array(file *f, const char *name)
{
    reader r;
    const int64_t bytes = product(f->axes, f->shape) * f->type.width *
                          (f->type.class == 'c' ? 2 : 1);
    bytes_of(f, f->members, name, &r);
    if (r.end - r.at != bytes)
        fail("%s has not as many bytes as its shape says: it is damaged", name);
    uint8_t *array = allocate(bytes, 1);
    memcpy(array, r.at, (size_t)bytes);
    return array;
}

static uint8_t *read_file(const char *path, int64_t *size)
{
    FILE *in = fopen(path, "rb");
    int64_t room = 1 << 16, n = 0;
    if (!in)
        fail("it cannot be read");
    uint8_t *bytes = allocate(room, 1);
    while ((n += (int64_t)fread(bytes + n, 1, (size_t)(room - n), in)) == room) {
        uint8_t *more = allocate(2 * room, 1);
        memcpy(more, bytes, (size_t)n);
        free(bytes);
        bytes = more, room *= 2;
    }
    if (ferror(in))
        fail("it cannot be read");
    fclose(in);
    *size = n;
    return bytes;
}

/* The array as a .npy file; 0 where that cannot be written. */
static int write_npy(const char *path, const file *f, const uint8_t *array)
{
    const int bf16 = strcmp(f->type.name, "bf16") == 0;
    const int64_t values = product(f->axes, f->shape) * (f->type.class == 'c' ? 2 : 1);
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof text,
                                "{'descr': '%s', 'fortran_order': False, 'shape': (", f->type.npy);
    for (int k = 0; k < f->axes; k++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%" PRId64, k ? ", " : "", f->shape[k]);
    n += (size_t)snprintf(text + n, sizeof text - n, f->axes == 1 ? ",), }" : "), }");
    while ((10 + n + 1) % 64)
        text[n++] = ' ';
    text[n++] = '\n';
    const uint8_t head[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)n, (uint8_t)(n >> 8) };
    FILE *out = fopen(path, "wb");
    if (!out)
        return 0;
    fwrite(head, 1, sizeof head, out);
    fwrite(text, 1, n, out);
    if (!bf16)
        fwrite(array, (size_t)f->type.width, (size_t)values, out);
    for (int64_t i = 0; i < values && bf16; i++) { /* the upper half of an f32 */
        const uint8_t single[4] = { 0, 0, array[2 * i], array[2 * i + 1] };
        fwrite(single, 1, 4, out);
    }
    const int failed = ferror(out);
    if (fclose(out) == 0 && !failed)
        return 1;
    remove(path); /* half an array would be taken for a whole one */
    return 0;
}

int main(int argc, char **argv)
{
    file f = { .axes = 0 };
    int64_t size = 0;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: unlode IN.lode OUT.npy [NAME]\n");
        return 1;
    }
    in_path = argv[1];
    uint8_t *bytes = read_file(in_path, &size);
    open_file(bytes, size, argc == 4 ? argv[3] : NULL, &f);
    uint8_t *array = f.plain ? plain_array(&f, argv[3]) : decode_array(&f);
    const int written = write_npy(argv[2], &f, array);
    if (!written)
        fprintf(stderr, "unlode: %s cannot be written\n", argv[2]);
    free(array), free(bytes), free(f.header), free(f.description);
    return written ? 0 : 1;
}
