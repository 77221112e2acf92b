// SPDX-License-Identifier: MIT
// The parent does nothing at a fork: it takes no lock, so no other thread can be made to wait for one,
// whatever the program holds meanwhile (stdio's locks, a signal handler's interrupted malloc). The child sees
// every other thread stopped at some instruction, all of them before the kernel's copy was complete; what
// those threads had written by then is there, in order. Lock-free structures are whole at every instruction.
// What a lock guards is whole if the lock was free, and is made anew from what decides (zone_repair) if a
// vanished thread held it. docs/architecture.md gives the argument.
#include "core/fork.h"

#include "buddy/page_heap.h"
#include "core/background.h"
#include "core/batch.h"
#include "core/central.h"
#include "core/harden.h"
#include "core/meta.h"
#include "core/random.h"
#include "tcache/tcache.h"
#include <pthread.h>

static atomic_u32 forks; // relaxed: the child has one thread when it counts

uint32_t fork_count(void) { return load_relaxed(&forks); }

static void in_child(void)
{
    fetch_add_relaxed(&forks, 1);
    if (is_hardened())
        random_after_fork();
    meta_after_fork();
    batch_after_fork();
    page_heap_after_fork();
    central_after_fork();
    tcache_after_fork();
    background_after_fork();
}

// Registered at the first allocation, so that in a child ours runs before every handler that allocates.
void fork_init(void) { pthread_atfork(NULL, NULL, in_child); }
