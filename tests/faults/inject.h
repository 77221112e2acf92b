// SPDX-License-Identifier: MIT
// What a program under fault injection can ask the preloaded inject.c. Any thread.
#ifndef TESTS_FAULTS_INJECT_H
#define TESTS_FAULTS_INJECT_H

// The call that was to fail has come.
int fault_fired(void) __attribute__((weak));
// From now on nothing fails.
void fault_disarm(void) __attribute__((weak));

#endif
