// SPDX-License-Identifier: MIT
// Which allocator this process runs on.
// Any thread may ask at any time.
#ifndef KVSERVER_ALLOCATOR_H
#define KVSERVER_ALLOCATOR_H

// "tarn <version>", or "system".
const char *allocator_name(void);

#endif
