// SPDX-License-Identifier: MIT
// A main for the fuzz targets where no fuzzer brings one: runs them on the files that are named, or else on
// standard input. One thread.

#include "fuzz.h"

enum { LONGEST = 1 << 20 };

static void run_on(FILE *file)
{
    static uint8_t bytes[LONGEST];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    expect(ferror(file) == 0);
    LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv)
{
    if (argc == 1)
        run_on(stdin);
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        fprintf(stderr, "%s\n", argv[i]);
        run_on(file);
        fclose(file);
    }
    return 0;
}
