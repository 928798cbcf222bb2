/* The streams that streams.c keeps, decoded by examples/unlode.c: what `streams decode` says of
 * them.
 *
 * unlode_streams FOLDER           the streams that FOLDER/list names
 * unlode_streams IN.lode OUT.npy  as unlode */
#define main unlode_main
#include "../../examples/unlode.c"
#undef main

int main(int argc, char **argv)
{
    char path[1024], line[256], name[64], form[16], dtype[16];
    if (argc == 3)
        return unlode_main(argc, argv);
    in_path = path;
    snprintf(path, sizeof path, "%s/list", argc > 1 ? argv[1] : ".");
    FILE *list = fopen(path, "r");
    while (list && fgets(line, sizeof line, list)) {
        int64_t shape[AXES], size = 0, values;
        int axes = 0, used = 0;
        sscanf(line, "%63s %*s %15s %15s%n", name, form, dtype, &used);
        for (char *at = line + used, *end = at; axes < 8; axes++, at = end) {
            shape[axes] = strtoll(at, &end, 10);
            if (end == at)
                break;
        }
        snprintf(path, sizeof path, "%s/%s", argv[1], name);
        uint8_t *bytes = read_file(path, &size);
        const reader r = { bytes, bytes + size };
        uint8_t *result = NULL;
        size_t t = 0;
        while (strcmp(types[t].name, dtype) != 0)
            t++;
        const int width = types[t].width;
        if (types[t].class == 'c')
            shape[axes++] = 2;
        values = product(axes, shape);
        if (strcmp(form, "symbols") == 0) {
            int32_t *symbols = decode_stream(r, axes, shape, 0);
            result = allocate(values, 4);
            for (int64_t i = 0; i < values; i++)
                put(result + 4 * i, 4, (uint64_t)symbols[i]);
            free(symbols);
        } else if (strcmp(form, "set") == 0) {
            result = decode_set(r, axes, shape);
        } else {
            result = decode_exact(r, width, strchr("fhc", types[t].class) != NULL, axes, shape);
        }
        printf("%s %016" PRIx64 "\n", name, checksum(result, values * width, 0));
        free(result), free(bytes);
    }
    if (!list)
        return 1;
    fclose(list);
    return 0;
}
