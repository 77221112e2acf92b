// SPDX-License-Identifier: MIT
// Short requests: each allocates hundreds of objects of mixed sizes, fills them, and frees nearly all at its
// end; one or two in a hundred stay behind for a while, as sessions and cached results do.
//
// options: --objects N (300) in a request; --kept N (20000) that survive in each thread at most

#include "work.h"
#include <string.h>

enum { OBJECTS_MOST = 10000 };

static uint64_t objects = 300, kept_most = 20000;
static struct latencies latencies[WORK_THREADS_MAX];

struct server {
    struct worker *worker;
    void **kept; // a ring: the oldest makes place
    size_t next;
};

static void serve(struct server *self)
{
    void *blocks[OBJECTS_MOST];
    uint64_t *random = &self->worker->random;
    for (size_t i = 0; i < objects; i++) {
        size_t size = random_pareto(random, 16, 16384);
        blocks[i] = work_need(malloc(size));
        memset(blocks[i], (int)i, size < 256 ? size : 256);
    }
    for (size_t i = 0; i < objects; i++) {
        if (random_below(random, 64) == 0) {
            free(self->kept[self->next]);
            self->kept[self->next] = blocks[i];
            self->next = (self->next + 1) % kept_most;
        } else {
            free(blocks[i]);
        }
    }
}

static void *serve_all(void *arg)
{
    struct server self = {.worker = arg, .kept = work_need(calloc(kept_most, sizeof(void *)))};
    size_t n = work_share(100000);
    for (; self.worker->count < n; self.worker->count++) {
        uint64_t start = work_nanoseconds();
        serve(&self);
        latencies_add(&latencies[self.worker->index], work_nanoseconds() - start);
    }
    for (size_t i = 0; i < kept_most; i++)
        free(self.kept[i]);
    free(self.kept);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"objects", &objects}, {"kept", &kept_most}, {0}});
    if (objects > OBJECTS_MOST || kept_most == 0)
        return 2;
    double seconds = work_run(work_threads, serve_all);
    for (unsigned i = 1; i < work_threads; i++)
        latencies_merge(&latencies[0], &latencies[i]);
    work_rate("requests/s", work_count(), seconds);
    latencies_print(&latencies[0]);
    return 0;
}
