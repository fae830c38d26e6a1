// Somebody has cut the file that a mapping belongs to: without this the next store into it would
// end the process (SIGBUS). Plain memory takes the page's place, what was on it is gone.
#pragma once

#include <cstddef>

namespace hm::wire {

// One mapping of the process is watched: the last that was given.
void watch_pages(void* base, size_t bytes);
void unwatch_pages(const void* base);

}  // namespace hm::wire
