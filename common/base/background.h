// For threads whose work nobody waits for.
#pragma once

namespace hm {

// From here on this thread, when it is woken, does not interrupt one that computes (SCHED_BATCH):
// on a busy core the loop finishes the call that it is at first. Its share of the core stays the
// same.
void never_interrupt_others();

}  // namespace hm
