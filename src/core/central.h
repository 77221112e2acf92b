// SPDX-License-Identifier: MIT
// The central pools: for each size class a stack of full batches over spans in buckets of occupancy.
// Lock-free. Any thread.
#ifndef TARN_CORE_CENTRAL_H
#define TARN_CORE_CENTRAL_H

#include "core/batch.h"
#include "core/span.h"

struct central_counts {
    uint64_t batch_objects; // in full batches
    uint64_t batches_in, batches_out, spans_made, spans_retired;
    uint64_t rested_bytes; // given back to the kernel out of partly used spans
};

// How far a search goes: into what belongs to threads near the home; then to the page heap, for a span of the
// home's own; or everywhere, and to the page heap last.
enum central_reach { CENTRAL_NEAR, CENTRAL_OWN, CENTRAL_ALL };

void central_init(void);
void central_after_fork(void);

// --- Full batches: the way from cache to cache, which touches no object.
struct batch *central_pop_batch(unsigned cls, uint32_t home, enum central_reach reach);
// How many batches the pool's shard then holds; 0 when it holds enough and this one stays out.
unsigned central_push_batch(unsigned cls, struct batch *batch);

// --- Slots from spans and back.
// Takes up to n objects; 0 when there is no memory, or nothing within reach. `home` becomes the home of a
// span that has none yet. If `held` is not NULL the span may stay with the caller, who passes it again next
// time or calls central_release; it then is the home's.
size_t central_take(unsigned cls, void **out, size_t n, uint32_t home, enum central_reach reach,
                    struct span **held);
void central_release(struct span *span);
// Gives objects of the class back. Ends the process with a message when one of them is not in use, or is no
// object.
void central_give(unsigned cls, void **objects, size_t n);
// Whether spans of the class are draining: a hint.
bool central_drains(unsigned cls);
// Gives those of the batch's objects back whose spans are draining.
void central_drain(unsigned cls, struct batch *batch);
// The pool has no room for this batch: its objects and those of half the full batches go back to their spans.
// Returns how many batches that were; all of them are recycled.
unsigned central_give_full(unsigned cls, struct batch *batch);

// Slots that are in use or in caches and batches: a hint.
size_t central_out(unsigned cls);

// A slot of another span that has no more free slots than `than`; NULL when none is at the front of the pool.
void *central_take_denser(struct span *than);
// Slots in use or in caches and batches, on average over the class's spans.
size_t central_average_live(unsigned cls);

// Gives the full batches that were not needed since the last call back to their spans, and spans that are
// wholly free to the page heap. No system call: slow paths may come here often.
void central_shed(unsigned cls);
// True once in each step of growth of what the heap holds: then what nobody uses is worth a system call.
bool central_notes_growth(void);
// The same, with `all` for every full batch; and lets sparse spans come to rest, whose free slots then hold
// no memory.
void central_trim(unsigned cls, bool all);

// The heap grows: sparse spans of the classes with many free slots come to rest, until so many bytes went
// back. Not those from which slots were taken since the last look.
void central_contain(uint64_t bytes);

// Trims all classes and lets the page heap decay, if it is time; cheap when it is not. True once in each
// period of TARN_DECAY_MS: for the caller who found it over.
bool central_decay(void);
// True when nothing is left that the next central_decay could give back.
bool central_is_settled(void);

// How many spans the class has; roughly.
uint64_t central_spans(unsigned cls);
struct central_counts central_counts(unsigned cls);
// Checks every span of the class; no other thread may change it meanwhile.
bool central_validate(unsigned cls);

#endif
