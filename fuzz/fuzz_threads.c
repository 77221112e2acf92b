// SPDX-License-Identifier: MIT
// The input is a sequence of calls and, for each, which of three threads makes it. One thread runs at a time;
// blocks are freed by other threads than theirs. A thread ends when the input says so, and otherwise only
// empties its cache at the end of the input.
#include "model.h"
#include "tcache/tcache.h"
#include <pthread.h>
#include <semaphore.h>

enum { THREADS = 3 };

struct worker {
    pthread_t thread;
    sem_t go, done;
    void (*step)(struct input *input); // NULL tells the thread to end
    struct input *input;
    bool lives;
};

static struct worker workers[THREADS];

static void *work(void *arg)
{
    struct worker *self = arg;
    for (sem_wait(&self->go); self->step != NULL; sem_wait(&self->go)) {
        self->step(self->input);
        sem_post(&self->done);
    }
    return NULL;
}

static void flush(struct input *input)
{
    (void)input;
    tcache_flush();
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
    self->lives = false;
}

static void step_on(struct worker *self, void (*step)(struct input *input), struct input *input)
{
    if (!self->lives)
        begin_thread(self);
    self->step = step;
    self->input = input;
    sem_post(&self->go);
    while (sem_wait(&self->done) != 0) // interrupted
        continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    model_begin();
    while (input.left != 0) {
        unsigned turn = input_u8(&input);
        if (turn >= 240)
            end_thread(&workers[turn % THREADS]);
        else
            step_on(&workers[turn % THREADS], model_step, &input);
    }
    for (int i = 0; i < THREADS; i++)
        if (workers[i].lives)
            step_on(&workers[i], flush, NULL);
    model_end();
    return 0;
}
