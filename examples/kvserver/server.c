// SPDX-License-Identifier: MIT
#include "kvserver/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "kvserver/allocator.h"

enum { TICK_MS = 1000, BACKLOG = 1024, PAUSE_US = 10000 };

static bool fail(const char *what)
{
    fprintf(stderr, "kvserver: %s: %s\n", what, strerror(errno));
    return false;
}

static bool server_listen(struct server *self)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(self->options.port)};
    int yes = 1;
    if (inet_pton(AF_INET, self->options.address, &where.sin_addr) != 1) {
        errno = EINVAL;
        return fail(self->options.address);
    }
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(self->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(self->listener, (struct sockaddr *)&where, sizeof where) || listen(self->listener, BACKLOG))
        return fail(self->options.address);
    return true;
}

// A script that asked for port 0 reads the port from this line.
static void server_announce(const struct server *self)
{
    struct sockaddr_in where = {0};
    socklen_t length = sizeof where;
    getsockname(self->listener, (struct sockaddr *)&where, &length);
    printf("listening on %s:%u, %u threads, %zu MiB, allocator %s\n", self->options.address,
           ntohs(where.sin_port), self->options.threads, self->options.memory >> 20, allocator_name());
    fflush(stdout);
}

// Blocked before the workers start, so that they inherit it and signals only arrive through the descriptor.
static bool server_catch_signals(struct server *self)
{
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    self->signals = signalfd(-1, &ending, SFD_CLOEXEC);
    return self->signals >= 0 || fail("signalfd");
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool server_start_workers(struct server *self)
{
    size_t bytes = self->options.threads * sizeof *self->workers;
    self->workers = aligned_alloc(_Alignof(struct worker), bytes);
    if (!self->workers)
        return fail("workers");
    for (unsigned i = 0; i < self->options.threads; i++) {
        if (!worker_start(&self->workers[i], self, &self->store))
            return fail("worker");
    }
    return true;
}

static void server_take(struct server *self, int fd)
{
    struct connection *connection = connection_new(fd);
    int yes = 1;
    if (!connection) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    uint64_t number = server_accepted(self);
    worker_give(&self->workers[number % self->options.threads], connection);
    atomic_store_explicit(&self->accepted, number + 1, memory_order_relaxed);
}

static void server_accept(struct server *self)
{
    int fd;
    while ((fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        server_take(self, fd);
    // Without descriptors the client stays in the queue, and asking again at once would only burn time.
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        usleep(PAUSE_US);
}

static void server_loop(struct server *self)
{
    struct pollfd watched[] = {{.fd = self->signals, .events = POLLIN},
                               {.fd = self->listener, .events = POLLIN}};
    int64_t next_tick = clock_coarse_ms() + TICK_MS;
    while (!(watched[0].revents & POLLIN)) {
        int64_t now = clock_coarse_ms();
        if (now >= next_tick) {
            store_tick(&self->store, now);
            next_tick = now + TICK_MS;
        }
        int ready = poll(watched, 2, (int)(next_tick - now));
        if (ready > 0 && watched[1].revents)
            server_accept(self);
    }
}

static void server_end(struct server *self)
{
    close(self->listener);
    for (unsigned i = 0; i < self->options.threads; i++)
        worker_stop(&self->workers[i]);
    free(self->workers);
    store_destroy(&self->store);
    close(self->signals);
}

int server_run(struct server *self)
{
    self->started = clock_coarse_ms();
    raise_descriptor_limit();
    if (!store_init(&self->store, self->options.memory) || !server_listen(self) ||
        !server_catch_signals(self) || !server_start_workers(self))
        return EXIT_FAILURE;
    server_announce(self);
    server_loop(self);
    server_end(self);
    return EXIT_SUCCESS;
}

uint64_t server_connections(const struct server *self)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < self->options.threads; i++)
        sum += atomic_load_explicit(&self->workers[i].connection_count, memory_order_relaxed);
    return sum;
}

uint64_t server_accepted(const struct server *self)
{
    return atomic_load_explicit(&self->accepted, memory_order_relaxed);
}

uint64_t server_count(const struct server *self, enum counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < self->options.threads; i++)
        sum += counters_get(&self->workers[i].counters, which);
    return sum;
}

void server_set_verbosity(struct server *self, unsigned level)
{
    atomic_store_explicit(&self->verbosity, level, memory_order_relaxed);
}
