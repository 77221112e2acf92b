// SPDX-License-Identifier: MIT
// The survey: walks all layers and fills in the statistics, or checks their invariants.
// survey_take: any thread, without stopping others. survey_validate: while no other thread allocates.
#ifndef TARN_CORE_SURVEY_H
#define TARN_CORE_SURVEY_H

#include "core/stats.h"
#include <stdbool.h>

void survey_take(struct stats *stats);
// The same, and what is resident for what, which takes a walk over all of it.
void survey_take_resident(struct stats *stats);
bool survey_validate(void);

#endif
