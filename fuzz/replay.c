/* Runs a fuzz target over files and folders of files: the kept corpus as a test, with any compiler.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    if (folder) {
        for (struct dirent *e; (e = readdir(folder));) {
            char inner[1024];
            snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
            if (e->d_name[0] != '.')
                count += replay(inner);
        }
        closedir(folder);
        return count;
    }
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);
    if (!file || !bytes) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    const size_t size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    for (size_t n = 0; n < size; n += size / 64 + 1) /* and cut short */
        LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%d inputs replayed\n", count);
    return count ? 0 : 2;
}
