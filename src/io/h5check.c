/* What libhdf5 believes without looking: where strings and lists of varying length lie. Both the
 * collections that hold them and the attributes that point into those are walked here first, with
 * the file's own bytes, before the library follows them. Needs no library. */
#include "io/h5.h"

#include <string.h>

enum { COLLECTION_MIN = 4096, HEADER_MAX = 1 << 26, BLOCKS_MAX = 1000 };

static lode_status damaged(const lode_i_h5_input *in, uint64_t at, const char *why)
{
    return lode_i_fail(in->ctx, LODE_EFORMAT, "%s is damaged near byte %" PRIu64 ": %s",
                       lode_i_infile_path(in->file), at, why);
}

/* ---- collections ("global heaps") ---- */

/* Objects follow one another to the end: number (2 bytes), uses (2), 4 of nothing, size, values
 * padded to 8 bytes; number 0 is the free rest with its whole size. found: size of number `wanted`,
 * unless that is 0. */
static bool walk_objects(const unsigned char *p, uint64_t size, int length, uint64_t wanted,
                         uint64_t *found)
{
    uint64_t at = 16;
    *found = UINT64_MAX;
    while (size - at >= 16) {
        const uint64_t index = lode_i_load(p + at, 2), bytes = lode_i_load(p + at + 8, length);
        const uint64_t left = size - at;
        if (bytes > left)
            return false;
        const uint64_t need = index ? 16 + (bytes + 7) / 8 * 8 : bytes;
        if (need < 16 || need > left)
            return false;
        if (index && index == wanted)
            *found = bytes;
        at += need;
    }
    return true;
}

/* The collection at an absolute offset, of which the first `size` bytes are at hand. */
static lode_status check_collection(lode_i_h5_input *in, uint64_t at, const unsigned char *bytes,
                                    size_t size, uint64_t wanted, uint64_t *found)
{
    lode_ctx *const ctx = in->ctx;
    lode_status st = LODE_OK;
    unsigned char *whole = NULL;
    const uint64_t says = lode_i_load(bytes + 8, in->length);
    if (says < COLLECTION_MIN || says > lode_i_infile_size(in->file) - at)
        return damaged(in, at, "a collection of strings is larger than the file");
    if (says > size) {
        LODE_TRY(lode_i_alloc(ctx, (size_t)says, (void **)&whole));
        LODE_TRY(lode_i_infile_read(ctx, in->file, at, whole, (size_t)says));
        bytes = whole;
    }
    if (!walk_objects(bytes, says, in->length, wanted, found))
        st = damaged(in, at, "strings in a collection overlap");
done:
    lode_i_free(whole);
    return st;
}

lode_status lode_i_h5_check_block(lode_i_h5_input *in, uint64_t at, const void *bytes, size_t size)
{
    uint64_t found = 0;
    return size < COLLECTION_MIN || memcmp(bytes, "GCOL\1", 5) != 0
               ? LODE_OK
               : check_collection(in, at, bytes, size, 0, &found);
}

/* ---- what points there: length (4 bytes), address of the collection, number in it (4) ---- */

lode_status lode_i_h5_check_pointer(lode_i_h5_input *in, const unsigned char *p, uint64_t unit)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = in->ctx;
    const uint64_t count = lode_i_load(p, 4), address = lode_i_load(p + 4, in->address);
    const uint64_t index = lode_i_load(p + 4 + in->address, 4);
    const uint64_t size = lode_i_infile_size(in->file), none = UINT64_MAX >> (64 - 8 * in->address);
    unsigned char *head = NULL;
    uint64_t found = 0;
    if (count == 0 || address == 0 || address == none)
        return LODE_OK; /* nothing is there, and the library does not look */
    if (in->base > size || address > size - in->base || size - in->base - address < COLLECTION_MIN)
        return damaged(in, address, "a string does not lie in the file");
    LODE_TRY(lode_i_alloc(ctx, COLLECTION_MIN, (void **)&head));
    LODE_TRY(lode_i_infile_read(ctx, in->file, in->base + address, head, COLLECTION_MIN));
    LODE_REQUIRE(memcmp(head, "GCOL\1", 5) == 0, LODE_EFORMAT,
                 "%s is damaged near byte %" PRIu64 ": no strings are where they should be",
                 lode_i_infile_path(in->file), in->base + address);
    LODE_TRY(check_collection(in, in->base + address, head, COLLECTION_MIN, index, &found));
    if (index == 0 || found / unit != count || found % unit)
        st = damaged(in, in->base + address, "a string has another length than is said of it");
done:
    lode_i_free(head);
    return st;
}

/* ---- attributes in an object's header ---- */

static uint64_t padded(uint64_t n, int version)
{
    return version == 1 ? (n + 7) / 8 * 8 : n;
}

static lode_status check_attribute(lode_i_h5_input *in, uint64_t at, const unsigned char *p,
                                   uint64_t size)
{
    const int version = size >= 8 ? p[0] : 0;
    const uint64_t head = version == 3 ? 9 : 8;
    if (version < 1 || version > 3 || size < head)
        return LODE_OK; /* the library refuses it by itself */
    const bool shared = version > 1 && (p[1] & 1);
    const uint64_t name = padded(lode_i_load(p + 2, 2), version), type = lode_i_load(p + 4, 2),
                   space = padded(lode_i_load(p + 6, 2), version);
    const uint64_t values = head + name + padded(type, version) + space;
    if (values > size)
        return damaged(in, at, "an attribute is longer than its place");
    const unsigned char *t = p + head + name;
    if (shared || type < 8 || (t[0] & 15) != 9)
        return LODE_OK;
    const bool text = (t[1] & 15) == 1;
    const uint64_t unit = text ? 1 : type >= 16 ? lode_i_load(t + 12, 4) : 0;
    const uint64_t each = 8 + (uint64_t)in->address;
    if (unit == 0 || lode_i_load(t + 4, 4) != each)
        return damaged(in, at, "a type of lists has no size");
    for (uint64_t i = values; size - i >= each; i += each)
        LODE_FORWARD(lode_i_h5_check_pointer(in, p + i, unit));
    return LODE_OK;
}

/* A link: a name, then an address, or a length with as many bytes. The library frees what it has not
 * set where one of them does not fit. */
static lode_status check_link(lode_i_h5_input *in, uint64_t at, const unsigned char *p,
                              uint64_t size)
{
    const int flags = size >= 2 ? p[1] : 0, width = 1 << (flags & 3);
    uint64_t i = 2, type = 0;
    if (size < 2 || p[0] != 1)
        return damaged(in, at, "a link is of no known version");
    if (flags & 8)
        type = i < size ? p[i] : 0, i++;
    i += (flags & 4 ? 8U : 0U) + (flags & 16 ? 1U : 0U);
    if (i > size || size - i < (uint64_t)width)
        return damaged(in, at, "a link is longer than its place");
    const uint64_t name = lode_i_load(p + i, width);
    i += (uint64_t)width;
    if (name == 0 || name > size - i)
        return damaged(in, at, "the name of a link is longer than its place");
    i += name;
    const uint64_t rest = size - i;
    if (type == 0 ? rest < (uint64_t)in->address
                  : rest < 2 || lode_i_load(p + i, 2) > rest - 2 ||
                        (type == 1 && lode_i_load(p + i, 2) == 0))
        return damaged(in, at, "the aim of a link is longer than its place");
    return LODE_OK;
}

/* A block of messages, and where the next one is. */
typedef struct block {
    uint64_t at, size;
} block;

static lode_status check_messages(lode_i_h5_input *in, uint64_t at, const unsigned char *p,
                                  uint64_t size, uint64_t from, bool second, bool ordered,
                                  block *next, int *count)
{
    const uint64_t head = second ? (ordered ? 6 : 4) : 8;
    for (uint64_t i = from; size - i >= head;) {
        const uint64_t type = lode_i_load(p + i, second ? 1 : 2);
        const uint64_t bytes = lode_i_load(p + i + (second ? 1 : 2), 2);
        const unsigned char *data = p + i + head;
        i += head;
        if (bytes > size - i)
            return LODE_OK; /* the library refuses it by itself */
        const bool elsewhere = (data[second ? (ordered ? -3 : -1) : -4] & 2) != 0;
        if (type == 12 && !elsewhere)
            LODE_FORWARD(check_attribute(in, at + i, data, bytes));
        if (type == 6 && !elsewhere)
            LODE_FORWARD(check_link(in, at + i, data, bytes));
        if (type == 16 && bytes >= (uint64_t)(in->address + in->length)) {
            if (*count == BLOCKS_MAX)
                return damaged(in, at + i, "a header goes on for ever");
            next[(*count)++] = (block){ lode_i_load(data, in->address),
                                        lode_i_load(data + in->address, in->length) };
        }
        i += bytes;
    }
    return LODE_OK;
}

lode_status lode_i_h5_check_header(lode_i_h5_input *in, uint64_t address)
{
    lode_status st = LODE_OK;
    lode_ctx *const ctx = in->ctx;
    const uint64_t size = lode_i_infile_size(in->file);
    unsigned char prefix[48], *p = NULL;
    block *blocks = NULL;
    int count = 0;
    bool ordered = false;
    if (in->base > size || address > size - in->base || size - in->base - address < sizeof prefix)
        return LODE_OK;
    LODE_TRY(lode_i_infile_read(ctx, in->file, in->base + address, prefix, sizeof prefix));
    const bool second = memcmp(prefix, "OHDR\2", 5) == 0;
    LODE_TRY(LODE_NEW(ctx, BLOCKS_MAX, &blocks));
    if (second) {
        const int flags = prefix[5], width = 1 << (flags & 3);
        const int at = 6 + (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0);
        ordered = (flags & 4) != 0;
        blocks[count++] = (block){ address + (uint64_t)(at + width),
                                   lode_i_load(prefix + at, width) };
    } else if (prefix[0] == 1) {
        blocks[count++] = (block){ address + 16, lode_i_load(prefix + 8, 4) };
    }
    for (int i = 0; i < count; i++) {
        const block b = blocks[i];
        if (b.at > size - in->base || b.size > size - in->base - b.at || b.size > HEADER_MAX)
            continue; /* the library refuses it by itself */
        LODE_TRY(lode_i_alloc(ctx, (size_t)b.size + 1, (void **)&p));
        LODE_TRY(lode_i_infile_read(ctx, in->file, in->base + b.at, p, (size_t)b.size));
        const bool later = second && i > 0; /* signature before, checksum behind */
        if (!later || b.size >= 8)
            LODE_TRY(check_messages(in, in->base + b.at, p, b.size - (later ? 4 : 0), later ? 4 : 0,
                                    second, ordered, blocks, &count));
        lode_i_free(p);
        p = NULL;
    }
done:
    lode_i_free(p);
    lode_i_free(blocks);
    return st;
}
