// The interceptor, put together: builds the parts in order, hands out references, stops them in
// reverse. Nothing includes this but main.cc. The main thread is the relay loop; writer, api and
// log have threads of their own.
#pragma once

#include <memory>
#include <string>

#include "common/setup/process.h"
#include "common/setup/worker.h"

namespace hm {

class InterceptorApp {
 public:
  InterceptorApp(const setup::ProcessFlags& flags, std::string version,
                 const setup::Inheritance& given = {});
  ~InterceptorApp();
  InterceptorApp(const InterceptorApp&) = delete;
  InterceptorApp& operator=(const InterceptorApp&) = delete;

  // Blocks until a signal, the lifeline or a `drain` request ended it. The process' exit code.
  int run();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm
