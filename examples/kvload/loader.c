// SPDX-License-Identifier: MIT
#include "kvload/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"

enum { EVENTS_AT_ONCE = 64, WAIT_MS = 100, VERSION_SHIFT = 48 };

bool loader_open(struct loader *self, const struct options *options, unsigned number)
{
    struct random random = {options->seed + ((uint64_t)number << 32)};
    *self = (struct loader){.workload = {.options = options, .random = random}};
    self->workload.popularity = popularity_make(options->keys, options->skew);
    self->workload.next_version = (uint64_t)(number + 1) << VERSION_SHIFT;
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->clients = calloc(options->connections, sizeof *self->clients);
    if (!self->clients)
        return false;
    for (self->open = 0; self->open < options->connections; self->open++) {
        if (!client_open(&self->clients[self->open], &self->workload))
            return false;
    }
    return true;
}

static void loader_watch(struct loader *self, struct client *client)
{
    struct epoll_event event = {.events = client_wants(client), .data.ptr = client};
    if (event.events == client->watched)
        return;
    epoll_ctl(self->epoll, client->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, client->fd, &event);
    client->watched = event.events;
}

static void loader_drop(struct loader *self, struct client *client)
{
    close(client->fd);
    client->fd = -1;
    client->asked = client->answered;
    self->open--;
}

static void loader_serve(struct loader *self, struct client *client)
{
    // Closed earlier in the same round.
    if (client->fd < 0)
        return;
    if (client_run(client))
        loader_watch(self, client);
    else
        loader_drop(self, client);
}

static void loader_look_at_clock(struct loader *self)
{
    struct workload *load = &self->workload;
    load->now = clock_ns();
    load->measuring = load->now >= self->schedule.measure && load->now < self->schedule.end;
    load->ending = load->now >= self->schedule.end;
}

static void loader_round(struct loader *self)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(self->epoll, events, EVENTS_AT_ONCE, WAIT_MS);
    for (int i = 0; i < count; i++) {
        loader_look_at_clock(self);
        loader_serve(self, events[i].data.ptr);
    }
    if (count <= 0)
        loader_look_at_clock(self);
}

static bool loader_is_idle(const struct loader *self)
{
    for (unsigned i = 0; i < self->workload.options->connections; i++) {
        if (!client_is_idle(&self->clients[i]))
            return false;
    }
    return true;
}

static void *loader_main(void *argument)
{
    struct loader *self = argument;
    struct workload *load = &self->workload;
    loader_look_at_clock(self);
    for (unsigned i = 0; i < load->options->connections; i++)
        loader_serve(self, &self->clients[i]);
    while (self->open > 0 && !(load->ending && loader_is_idle(self)) && load->now < self->schedule.give_up)
        loader_round(self);
    if (!loader_is_idle(self)) {
        fprintf(stderr, "kvload: some requests were never answered\n");
        tally_add(&load->tally, TALLY_ERRORS, 1);
    }
    // Relaxed: it only ends the progress lines; the numbers are read after the join.
    atomic_store_explicit(&self->ended, true, memory_order_relaxed);
    return NULL;
}

bool loader_start(struct loader *self, struct schedule schedule)
{
    self->schedule = schedule;
    return pthread_create(&self->thread, NULL, loader_main, self) == 0;
}

bool loader_has_ended(const struct loader *self)
{
    return atomic_load_explicit(&self->ended, memory_order_relaxed);
}

void loader_join(struct loader *self) { pthread_join(self->thread, NULL); }

void loader_close(struct loader *self)
{
    for (unsigned i = 0; i < self->workload.options->connections; i++)
        client_close(&self->clients[i]);
    free(self->clients);
    close(self->epoll);
}
