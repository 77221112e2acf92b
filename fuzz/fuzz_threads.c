// SPDX-License-Identifier: MIT
// The input is a sequence of calls, and says which of three threads makes the next few. One thread runs at a
// time; blocks are freed by other threads than theirs. A thread ends when the input says so, and otherwise
// only empties its cache at the end of the input.
#include "model.h"
#include "tcache/tcache.h"
#include <pthread.h>
#include <semaphore.h>

enum { THREADS = 3, CALLS_MOST = 4, END = 250 };

struct worker {
    pthread_t thread;
    sem_t go, done;
    void (*step)(struct worker *self); // NULL tells the thread to end
    struct input *input;
    unsigned calls; // that it is to make
    bool lives, has_run;
};

static struct worker workers[THREADS];

static void *work(void *arg)
{
    struct worker *self = arg;
    for (sem_wait(&self->go); self->step != NULL; sem_wait(&self->go)) {
        self->step(self);
        sem_post(&self->done);
    }
    return NULL;
}

static void make_calls(struct worker *self)
{
    for (; self->calls != 0; self->calls--)
        model_step(self->input);
    self->has_run = true;
}

static void flush(struct worker *self)
{
    tcache_flush();
    self->has_run = false;
}

static void begin_thread(struct worker *self)
{
    expect(sem_init(&self->go, 0, 0) == 0 && sem_init(&self->done, 0, 0) == 0);
    expect(pthread_create(&self->thread, NULL, work, self) == 0);
    self->lives = true;
}

static void end_thread(struct worker *self)
{
    if (!self->lives)
        return;
    self->step = NULL;
    sem_post(&self->go);
    expect(pthread_join(self->thread, NULL) == 0);
    self->lives = self->has_run = false;
}

static void run_on(struct worker *self, void (*step)(struct worker *self))
{
    self->step = step;
    sem_post(&self->go);
    while (sem_wait(&self->done) != 0) // interrupted
        continue;
}

static void call_on(struct worker *self, unsigned calls, struct input *input)
{
    if (!self->lives)
        begin_thread(self);
    self->calls = calls;
    self->input = input;
    run_on(self, make_calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    model_begin();
    while (input.left != 0) {
        unsigned turn = input_u8(&input);
        if (turn >= END)
            end_thread(&workers[turn % THREADS]);
        else
            call_on(&workers[turn % THREADS], 1 + turn / THREADS % CALLS_MOST, &input);
    }
    for (int i = 0; i < THREADS; i++)
        if (workers[i].lives && workers[i].has_run)
            run_on(&workers[i], flush);
    model_end();
    return 0;
}
