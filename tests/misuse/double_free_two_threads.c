// SPDX-License-Identifier: MIT
// Two threads free the block of a third, one after the other.
// expect: tarn: double free of %p

#include "misuse.h"
#include <pthread.h>

static void *free_it(void *p)
{
    free(p);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *p = show(malloc(3000));
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread, NULL, free_it, hide(p));
        pthread_join(thread, NULL);
    }
    return 0;
}
