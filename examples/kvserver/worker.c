// SPDX-License-Identifier: MIT
#include "kvserver/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"

enum { EVENTS_AT_ONCE = 64 };

static void worker_count(struct worker *self, int change)
{
    // No read-modify-write: nobody else writes, and readers only want a recent number.
    unsigned count = atomic_load_explicit(&self->connection_count, memory_order_relaxed);
    atomic_store_explicit(&self->connection_count, count + (unsigned)change, memory_order_relaxed);
}

static void worker_drop(struct worker *self, struct connection *connection)
{
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        self->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    connection_free(connection);
    worker_count(self, -1);
}

static bool worker_watch(struct worker *self, struct connection *connection)
{
    struct epoll_event event = {.events = connection->wants, .data.ptr = connection};
    int operation = connection->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    connection->watched = connection->wants;
    return epoll_ctl(self->epoll, operation, connection->fd, &event) == 0;
}

static void worker_adopt(struct worker *self, struct connection *connection)
{
    connection->worker = self;
    connection->previous = NULL;
    connection->next = self->connections;
    if (self->connections)
        self->connections->previous = connection;
    self->connections = connection;
    worker_count(self, 1);
    if (!worker_watch(self, connection))
        worker_drop(self, connection);
}

static void worker_serve(struct worker *self, struct connection *connection)
{
    bool alive = connection_run(connection);
    if (alive && connection->wants != connection->watched)
        alive = worker_watch(self, connection);
    if (!alive)
        worker_drop(self, connection);
}

// False when the worker has been told to stop.
static bool worker_read_inbox(struct worker *self)
{
    uint64_t calls;
    if (read(self->wake, &calls, sizeof calls) < 0)
        return true;
    pthread_mutex_lock(&self->inbox_lock);
    struct connection *arrived = self->inbox;
    bool stop = self->stop;
    self->inbox = NULL;
    pthread_mutex_unlock(&self->inbox_lock);
    while (arrived) {
        struct connection *next = arrived->next;
        worker_adopt(self, arrived);
        arrived = next;
    }
    return !stop;
}

// The wake-up descriptor is the one without a connection.
static bool worker_round(struct worker *self)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(self->epoll, events, EVENTS_AT_ONCE, -1);
    bool go_on = true;
    self->now = clock_coarse_ms();
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection)
            worker_serve(self, connection);
        else
            go_on = worker_read_inbox(self);
    }
    return go_on;
}

static void *worker_main(void *argument)
{
    struct worker *self = argument;
    while (worker_round(self))
        continue;
    while (self->connections)
        worker_drop(self, self->connections);
    return NULL;
}

bool worker_start(struct worker *self, struct server *server, struct store *store)
{
    *self = (struct worker){.server = server, .store = store, .now = clock_coarse_ms()};
    pthread_mutex_init(&self->inbox_lock, NULL);
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->wake, &event) == 0 &&
           pthread_create(&self->thread, NULL, worker_main, self) == 0;
}

static void worker_wake(struct worker *self)
{
    uint64_t one = 1;
    // The write can only fail when the count is at its end, and then the worker is awake anyway.
    ssize_t written = write(self->wake, &one, sizeof one);
    (void)written;
}

void worker_give(struct worker *self, struct connection *connection)
{
    pthread_mutex_lock(&self->inbox_lock);
    connection->next = self->inbox;
    self->inbox = connection;
    pthread_mutex_unlock(&self->inbox_lock);
    worker_wake(self);
}

void worker_stop(struct worker *self)
{
    pthread_mutex_lock(&self->inbox_lock);
    self->stop = true;
    pthread_mutex_unlock(&self->inbox_lock);
    worker_wake(self);
    pthread_join(self->thread, NULL);
    close(self->wake);
    close(self->epoll);
    pthread_mutex_destroy(&self->inbox_lock);
}
