// SPDX-License-Identifier: MIT
// A server in small: an acceptor makes messages of mixed sizes, workers take them, work on them in memory of
// their own, keep session state that grows, and write log lines, which a logger frees.
//
// options: --sessions N (5000)

#include "queue.h"
#include "work.h"
#include <string.h>

enum { SESSIONS_MOST = 1 << 20, PARTS = 12 };

static uint64_t sessions = 5000;
static struct queue inbox, log_lines;
static struct latencies latencies[WORK_THREADS_MAX];
static unsigned workers;

struct message {
    uint64_t sent;
    uint32_t session, size;
    char body[];
};

struct session {
    pthread_mutex_t lock;
    char *state; // guarded by lock, as is length
    size_t length;
};

static struct session all_sessions[SESSIONS_MOST];

static struct message *make(struct worker *self)
{
    uint32_t size = (uint32_t)random_pareto(&self->random, 64, 16384);
    struct message *message = work_need(malloc(sizeof *message + size));
    message->session = (uint32_t)random_below(&self->random, sessions);
    message->size = size;
    memset(message->body, 1, size);
    message->sent = work_nanoseconds();
    return message;
}

static void accept_all(struct worker *self)
{
    enum { AT_ONCE = 8 };
    void *chunk[AT_ONCE];
    size_t n = work_amount(400000);
    for (size_t sent = 0; sent < n; sent += AT_ONCE) {
        for (int i = 0; i < AT_ONCE; i++)
            chunk[i] = make(self);
        queue_put(&inbox, chunk, AT_ONCE);
    }
    queue_close(&inbox);
}

static void extend_session(struct session *session, const struct message *message)
{
    pthread_mutex_lock(&session->lock);
    size_t keep = session->length > 8192 ? 0 : session->length;
    session->length = keep + message->size / 8;
    session->state = work_need(realloc(session->state, session->length + 1));
    memcpy(session->state + keep, message->body, message->size / 8);
    pthread_mutex_unlock(&session->lock);
}

static void handle(struct worker *self, struct message *message)
{
    void *parts[PARTS];
    for (int i = 0; i < PARTS; i++) {
        size_t size = random_pareto(&self->random, 16, 4096);
        parts[i] = work_need(malloc(size));
        memset(parts[i], i, size < 128 ? size : 128);
    }
    extend_session(&all_sessions[message->session], message);
    void *line = work_need(malloc(100));
    snprintf(line, 100, "session %u, %u bytes", message->session, message->size);
    queue_put(&log_lines, &line, 1);
    for (int i = 0; i < PARTS; i++)
        free(parts[i]);
    latencies_add(&latencies[self->index], work_nanoseconds() - message->sent);
    free(message);
}

static void handle_all(struct worker *self)
{
    void *chunk[4];
    for (size_t n; (n = queue_get(&inbox, chunk, 4)) != 0; self->count += n)
        for (size_t i = 0; i < n; i++)
            handle(self, chunk[i]);
    queue_close(&log_lines);
}

static void log_all(void)
{
    void *chunk[QUEUE_CHUNK];
    for (size_t n; (n = queue_get(&log_lines, chunk, QUEUE_CHUNK)) != 0;)
        for (size_t i = 0; i < n; i++)
            free(chunk[i]);
}

static void *work(void *arg)
{
    struct worker *self = arg;
    if (self->index == workers)
        accept_all(self);
    else if (self->index == workers + 1)
        log_all();
    else
        handle_all(self);
    return NULL;
}

int main(int argc, char **argv)
{
    work_start(argc, argv, (struct work_option[]){{"sessions", &sessions}, {0}});
    if (sessions == 0 || sessions > SESSIONS_MOST || work_threads + 2 > WORK_THREADS_MAX)
        return 2;
    workers = work_threads;
    queue_init(&inbox, 1);
    queue_init(&log_lines, workers);
    for (uint64_t i = 0; i < sessions; i++)
        pthread_mutex_init(&all_sessions[i].lock, NULL);
    double seconds = work_run(workers + 2, work);
    for (unsigned i = 1; i < workers; i++)
        latencies_merge(&latencies[0], &latencies[i]);
    work_rate("messages/s", work_count(), seconds);
    latencies_print(&latencies[0]);
    return 0;
}
