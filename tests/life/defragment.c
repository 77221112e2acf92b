// SPDX-License-Identifier: MIT
// A hash table that defragments itself: entries of many sizes, most of them deleted at random, the rest moved
// by what tarn_utilization and tarn_relocate say, a few buckets at a time. Resident memory falls to near what
// lives.
//
// usage: defragment [entries]

#include "../support/checks.h"

#include <string.h>
#include <tarn/tarn.h>

struct entry {
    struct entry *next;
    size_t size;
    unsigned key;
    unsigned char value[];
};

enum { BUCKETS = 1 << 16, KEPT = 10 };
static struct entry *buckets[BUCKETS];

static struct entry **bucket_of(unsigned key) { return &buckets[key * 2654435761u >> 16]; }

static void insert(unsigned key)
{
    size_t size = 20 + key * 31 % 900;
    struct entry *entry = malloc(sizeof *entry + size), **bucket = bucket_of(key);
    expect(entry != NULL);
    entry->next = *bucket;
    entry->size = size;
    entry->key = key;
    memset(entry->value, (int)(key % 251), size);
    *bucket = entry;
}

// One in KEPT stays, chosen as if by chance.
static void delete_most(void)
{
    for (size_t b = 0; b < BUCKETS; b++)
        for (struct entry **place = &buckets[b]; *place != NULL;) {
            struct entry *entry = *place;
            if (entry->key * 2246822519u % 1000 < 1000 / KEPT) {
                place = &entry->next;
                continue;
            }
            *place = entry->next;
            free(entry);
        }
}

static size_t defragment_bucket(struct entry **place)
{
    size_t moved = 0;
    for (; *place != NULL; place = &(*place)->next) {
        size_t live, capacity, average;
        if (tarn_utilization(*place, &live, &capacity, &average) != 0 || live > average || live == capacity)
            continue;
        struct entry *entry = tarn_relocate(*place);
        moved += entry != *place;
        *place = entry;
    }
    return moved;
}

static size_t defragment(void)
{
    size_t moved = 0;
    for (size_t b = 0; b < BUCKETS; b++)
        moved += defragment_bucket(&buckets[b]);
    return moved;
}

static size_t check_and_count(void)
{
    size_t bytes = 0;
    for (size_t b = 0; b < BUCKETS; b++)
        for (struct entry *entry = buckets[b]; entry != NULL; entry = entry->next) {
            for (size_t i = 0; i < entry->size; i++)
                expect(entry->value[i] == entry->key % 251);
            bytes += sizeof *entry + entry->size;
        }
    return bytes;
}

int main(int argc, char **argv)
{
    unsigned entries = argument(argc, argv, 1, 300000);
    limit_seconds(60);
    size_t start = resident_kib();
    for (unsigned key = 0; key < entries; key++)
        insert(key);
    size_t full = resident_kib() - start;
    delete_most();
    tarn_collect();
    size_t sparse = resident_kib() - start, moved = 0, rounds = 0;
    for (size_t n; rounds < 20 && (n = defragment()) != 0; rounds++)
        moved += n;
    tarn_collect();
    size_t dense = resident_kib() - start, live = check_and_count() >> 10;
    dprintf(1,
            "resident: %zu KiB full, %zu after deleting, %zu after %zu moves in %zu rounds; live %zu KiB\n",
            full, sparse, dense, moved, rounds, live);
    expect(dense < sparse / 2);
    expect(dense < live + live / 2 + 2048);
    expect_heap_is_whole();
    return 0;
}
