// SPDX-License-Identifier: MIT
// Strings that are built piece by piece with realloc, many at a time: most stay short, a few grow to a
// megabyte.
//
// options: --strings N (200) alive in each thread

#include "work.h"
#include <string.h>

enum { STRINGS_MOST = 10000, PIECE_MOST = 64 };

static uint64_t strings = 200;

struct string {
    char *text;
    size_t length, wanted;
};

static void append(struct string *self, uint64_t *random)
{
    size_t piece = 1 + random_below(random, PIECE_MOST);
    piece = self->wanted > 100000 ? piece * 64 : piece;
    self->text = work_need(realloc(self->text, self->length + piece));
    memset(self->text + self->length, (int)piece, piece);
    self->length += piece;
}

static void begin(struct string *self, uint64_t *random)
{
    free(self->text);
    self->text = NULL;
    self->length = 0;
    self->wanted = random_pareto(random, 100, 1000000);
}

static void *build(void *arg)
{
    struct worker *self = arg;
    static _Thread_local struct string all[STRINGS_MOST];
    for (size_t n = work_share(30000000); self->count < n; self->count++) {
        struct string *string = &all[random_below(&self->random, strings)];
        if (string->length >= string->wanted)
            begin(string, &self->random);
        append(string, &self->random);
    }
    for (size_t i = 0; i < strings; i++)
        free(all[i].text);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"strings", &strings}, {0}});
    if (strings == 0 || strings > STRINGS_MOST)
        return 2;
    double seconds = work_run(work_threads, build);
    work_rate("pieces/s", work_count(), seconds);
    return 0;
}
