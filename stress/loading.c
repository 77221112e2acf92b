// SPDX-License-Identifier: MIT
// Shared objects that come and go: what their code allocated outlives them, and a thread-local object of
// theirs frees its block when the thread ends, after the object was closed.
#include "modes.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#define GUEST_BLOCKS 32

struct guest {
    struct maker maker;
    struct block made[GUEST_BLOCKS];
    pthread_t thread;
};

typedef void *make_function(size_t size);

// ISO C has no cast from dlsym's result to a function.
static make_function *find_make(void *library)
{
    make_function *make;
    void *found = dlsym(library, "guest_make");
    if (found == NULL)
        fault("the shared object has no guest_make");
    memcpy(&make, &found, sizeof found);
    return make;
}

static void *guest_run(void *arg)
{
    struct guest *self = arg;
    void *library = dlopen(STRESS_GUEST, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fault("%s", dlerror());
    make_function *make = find_make(library);
    for (size_t i = 0; i < GUEST_BLOCKS; i++) {
        size_t size = block_random_size(&self->maker.rng);
        self->made[i] = block_make_by(&self->maker, make, size);
    }
    dlclose(library);
    return NULL;
}

void step_loading(struct worker *self)
{
    struct guest guest = {0};
    maker_init(&guest.maker, self->maker.seed, rng_next(&self->maker.rng) >> 40);
    threads_start(&guest.thread, guest_run, &guest);
    threads_join(guest.thread);
    for (size_t i = 0; i < GUEST_BLOCKS; i++)
        block_end(&guest.maker, &guest.made[i]);
    maker_absorb(&self->maker, &guest.maker);
}
