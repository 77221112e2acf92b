// SPDX-License-Identifier: MIT
// A thread that drives its connections from the start of the load to its end.
// Started and joined by one thread, which may read the tally meanwhile.
#ifndef KVLOAD_LOADER_H
#define KVLOAD_LOADER_H

#include <pthread.h>

#include "kvload/client.h"

// When things happen, on the nanosecond clock.
struct schedule {
    int64_t measure, end, give_up;
};

struct loader {
    _Alignas(64) struct workload workload;
    struct schedule schedule;
    pthread_t thread;
    int epoll;
    struct client *clients;
    unsigned open;     // clients that are still connected
    atomic_bool ended; // the thread has nothing more to do
};

// False, after a line on stderr, when a connection cannot be made.
bool loader_open(struct loader *self, const struct options *options, unsigned number);

bool loader_start(struct loader *self, struct schedule schedule);
bool loader_has_ended(const struct loader *self);
void loader_join(struct loader *self);
void loader_close(struct loader *self);

#endif
