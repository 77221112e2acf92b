// SPDX-License-Identifier: MIT
// The allocating thread frees a block, then another thread does.
// expect: tarn: double free of %p

#include "misuse.h"
#include <pthread.h>

static void *free_again(void *p)
{
    free(p);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *p = show(malloc(64));
    free(p);
    pthread_create(&thread, NULL, free_again, hide(p));
    pthread_join(thread, NULL);
    return 0;
}
