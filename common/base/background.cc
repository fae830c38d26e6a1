#include "common/base/background.h"

#include <sched.h>

namespace hm {

void never_interrupt_others() {
  const sched_param none{};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &none));  // refused by some sandboxes
}

}  // namespace hm
