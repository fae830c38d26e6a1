// The ticks of a long command, on stderr: "[3/8] bundle  ok  what came of it".
#pragma once

#include <string>
#include <string_view>

#include "cli/context.h"

namespace hm::cli {

class Steps {
 public:
  Steps(Context& context, int total) : context_(context), total_(total) {}

  void begin(std::string_view title);  // shown at once on a terminal: something is under way
  void done(std::string_view detail);
  void skipped(std::string_view detail);
  // What is wrong, and on lines of their own what to do.
  void failed(std::string_view finding, std::string_view next_action);
  void note(std::string_view line);  // below a step

 private:
  void end(std::string_view mark, std::string_view sgr, std::string_view detail);

  Context& context_;
  int total_;
  int number_ = 0;
  std::string title_;
};

}  // namespace hm::cli
