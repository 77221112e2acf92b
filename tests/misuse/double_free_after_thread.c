// SPDX-License-Identifier: MIT
// A thread frees a block and exits, then the thread that allocated it frees it.
// expect: tarn: double free of %p

#include "misuse.h"
#include <pthread.h>

static void *free_first(void *p)
{
    free(p);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *p = show(malloc(64));
    pthread_create(&thread, NULL, free_first, p);
    pthread_join(thread, NULL);
    free(hide(p));
    return 0;
}
