// SPDX-License-Identifier: MIT
// How far the heap hardens itself against misuse: TARN_HARDEN as it was at the start, and secrets drawn then.
// Any thread may read; harden_init runs once, before there is a second thread.
#ifndef TARN_CORE_HARDEN_H
#define TARN_CORE_HARDEN_H

#include "core/atomics.h"
#include "core/bits.h"
#include "core/sealed.h"

// Each level does what those below it do. docs/hardening.md has the table of what is detected.
enum harden_level {
    HARDEN_OFF,      // only what costs nothing: bitmaps, sizes, addresses
    HARDEN_PLACES,   // slots in random order, zeroed when freed; guards around large blocks and metadata
    HARDEN_CANARIES, // canaries, delayed reuse, writes to freed blocks are found; guards behind spans
    HARDEN_LONE      // small blocks on pages of their own, all or a sample: what misuses one of these faults
};

void harden_init(void);

static inline enum harden_level harden_level(void) { return load_relaxed(&sealed.level); }
static inline bool has_canaries(void) { return unlikely(load_relaxed(&sealed.level) >= HARDEN_CANARIES); }
static inline bool has_lone_blocks(void) { return unlikely(load_relaxed(&sealed.level) >= HARDEN_LONE); }
static inline bool is_hardened(void) { return unlikely(load_relaxed(&sealed.level) != HARDEN_OFF); }

#endif
