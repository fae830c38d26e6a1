// Whole connections between two nghttp2 sessions in memory: the observer is shown what passes, cut
// at random, and must say of every stream exactly what both ends said.
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <memory>
#include <random>

#include "interceptor/http/h2_observer.h"
#include "tests/unit/http/h2_transcript.h"

namespace hm::test {
namespace {

using Fields = std::vector<http::Header>;

// One stream as its two ends mean it.
struct Plan {
  Fields request;  // without pseudo-header fields
  std::string path;
  std::string upload;
  std::vector<int> interim;
  int status = 200;
  Fields response;
  std::string answer;
  Fields trailers;
  enum class End { whole, reset_by_origin, reset_by_client } end = End::whole;
  bool push = false;
};

struct Setup {
  uint32_t seed = 1;
  int streams = 100;
  uint32_t client_table = 4096;  // announced by the client: the origin's encoder may use it
  uint32_t origin_table = 4096;
  uint32_t later_table = 4096;  // announced by both in the middle of the connection
  bool padding = false;
  bool pushes = false;
};

std::string random_text(std::mt19937& random, size_t size) {
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>('!' + random() % 90);
  return text;
}

Fields random_fields(std::mt19937& random, size_t most) {
  Fields fields;
  for (size_t i = random() % (most + 1); i > 0; --i) {
    // Names and values come back, so that tables are used; now and then one is long, which makes a
    // block need CONTINUATION.
    const bool common = random() % 3 != 0;
    const size_t size = random() % 40 == 0 ? 20000 : 1 + random() % 60;
    fields.push_back(
        {"x-field-" + std::to_string(random() % 12),
         common ? "value " + std::to_string(random() % 20) : random_text(random, size)});
  }
  return fields;
}

Plan random_plan(std::mt19937& random, int number, const Setup& setup) {
  Plan plan;
  plan.path = "/call/" + std::to_string(number) + "?" + random_text(random, random() % 9);
  plan.request = random_fields(random, 6);
  plan.upload = random_text(random, random() % 4 == 0 ? 0 : random() % 30000);
  for (size_t i = random() % 3; i > 0; --i) plan.interim.push_back(i % 2 == 0 ? 100 : 103);
  plan.status = std::array{200, 201, 404, 429, 500}[random() % 5];
  plan.response = random_fields(random, 8);
  plan.answer = random_text(random, random() % 4 == 0 ? 0 : random() % 30000);
  if (random() % 4 == 0) plan.trailers = {{"x-trailer", std::to_string(number)}};
  if (random() % 4 == 0) {
    plan.response.push_back({"content-length", std::to_string(plan.answer.size())});
  }
  if (random() % 8 == 0) plan.end = Plan::End::reset_by_origin;
  if (random() % 8 == 0) plan.end = Plan::End::reset_by_client;
  plan.push = setup.pushes && random() % 5 == 0;
  return plan;
}

std::vector<nghttp2_nv> to_nv(const Fields& fields) {
  std::vector<nghttp2_nv> out;
  for (const http::Header& field : fields) {
    const auto bytes = [](const std::string& text) {
      return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    };
    out.push_back({bytes(field.name), bytes(field.value), field.name.size(), field.value.size(),
                   NGHTTP2_NV_FLAG_NONE});
  }
  return out;
}

// What is still to be sent on one stream.
struct Outgoing {
  std::string body;
  size_t sent = 0;
  Fields trailers;
};

class Connection;

struct End {
  Connection* connection = nullptr;
  bool is_client = false;
  nghttp2_session* session = nullptr;
  std::map<int32_t, Outgoing> bodies;
};

class Connection {
 public:
  explicit Connection(const Setup& setup) : setup_(setup), random_(setup.seed), observer_(told) {
    open(client_, true);
    open(origin_, false);
    settings(client_, setup.client_table);
    settings(origin_, setup.origin_table);
  }
  ~Connection() {
    nghttp2_session_del(client_.session);
    nghttp2_session_del(origin_.session);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Opens all streams, a few at a time, and exchanges until both ends have nothing to say.
  void run() {
    for (int number = 0; number < setup_.streams; ++number) {
      plans.push_back(random_plan(random_, number, setup_));
    }
    size_t next = 0;
    bool changed = false;
    while (next < plans.size() || busy()) {
      for (size_t more = random_() % 20; more > 0 && next < plans.size(); --more) request(next++);
      if (!changed && next > plans.size() / 2) {
        changed = true;
        settings(client_, setup_.later_table);
        settings(origin_, setup_.later_table);
      }
      if (random_() % 3 == 0) nghttp2_submit_ping(client_.session, NGHTTP2_FLAG_NONE, nullptr);
      for (int i = 0; i < 20 && random_() % 20 == 0; ++i) {
        nghttp2_submit_ping(origin_.session, NGHTTP2_FLAG_NONE, nullptr);
      }
      pass(client_, origin_);
      pass(origin_, client_);
    }
    observer_.client_ended(true);
    observer_.origin_ended(true);
  }

  std::vector<Plan> plans;
  std::map<int32_t, size_t> plan_of;  // by stream
  // What the other end got: of the client's uploads and of the answers, by stream.
  std::map<int32_t, std::string> uploaded, answered;
  H2Transcript told{true};

 private:
  static Connection& of(void* user) { return *static_cast<End*>(user)->connection; }

  void open(End& end, bool is_client) {
    end.connection = this;
    end.is_client = is_client;
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          return of(user).on_frame(*static_cast<End*>(user), *frame);
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size,
                      void* user) {
          Connection& self = of(user);
          auto& got = static_cast<End*>(user)->is_client ? self.answered : self.uploaded;
          got[stream] += as_text({data, size});
          return 0;
        });
    if (setup_.padding) {
      nghttp2_session_callbacks_set_select_padding_callback(
          callbacks, [](nghttp2_session*, const nghttp2_frame* frame, size_t most, void* user) {
            const size_t padding = of(user).random_() % 256;
            return static_cast<ssize_t>(std::min(frame->hd.length + padding, most));
          });
    }
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    // The tables of the encoders may be as large as the other end allows.
    nghttp2_option_set_max_deflate_dynamic_table_size(option, 65536);
    nghttp2_option_set_max_send_header_block_length(option, 512 * 1024);
    if (is_client) {
      nghttp2_session_client_new2(&end.session, callbacks, &end, option);
    } else {
      nghttp2_session_server_new2(&end.session, callbacks, &end, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
  }

  static void settings(End& end, uint32_t table) {
    const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, table},
                                              {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
                                              {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 16000}};
    REQUIRE(nghttp2_submit_settings(end.session, NGHTTP2_FLAG_NONE, entries, 3) == 0);
  }

  // Bodies go out in pieces of random size, now and then not at all for a turn.
  static ssize_t read_body(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t size,
                           uint32_t* flags, nghttp2_data_source*, void* user) {
    Outgoing& out = static_cast<End*>(user)->bodies[stream];
    std::mt19937& random = of(user).random_;
    const size_t most = std::min(size, out.body.size() - out.sent);
    const size_t take = std::min<size_t>(most, 1 + random() % 5000);
    std::copy_n(out.body.data() + out.sent, take, buffer);
    out.sent += take;
    if (out.sent == out.body.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!out.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto nv = to_nv(out.trailers);
        nghttp2_submit_trailer(session, stream, nv.data(), nv.size());
      }
    }
    return static_cast<ssize_t>(take);
  }

  void request(size_t number) {
    const Plan& plan = plans[number];
    Fields fields{{":method", plan.upload.empty() ? "GET" : "POST"},
                  {":scheme", "https"},
                  {":authority", "api.example"},
                  {":path", plan.path}};
    fields.insert(fields.end(), plan.request.begin(), plan.request.end());
    const auto nv = to_nv(fields);
    nghttp2_data_provider body{{0}, read_body};
    const int32_t stream = nghttp2_submit_request(client_.session, nullptr, nv.data(), nv.size(),
                                                  plan.upload.empty() ? nullptr : &body, nullptr);
    REQUIRE(stream > 0);
    client_.bodies[stream] = {plan.upload, 0, {}};
    plan_of[stream] = number;
  }

  int on_frame(End& end, const nghttp2_frame& frame) {
    const int32_t stream = frame.hd.stream_id;
    const bool last = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    const bool carries = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
    if (!carries || stream % 2 == 0) return 0;
    const Plan& plan = plans[plan_of[stream]];
    if (end.is_client) {
      if (frame.hd.type == NGHTTP2_DATA && plan.end == Plan::End::reset_by_client) {
        nghttp2_submit_rst_stream(end.session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
      }
    } else if (last) {
      respond(stream, plan);
    }
    return 0;
  }

  void respond(int32_t stream, const Plan& plan) {
    nghttp2_session* session = origin_.session;
    for (const int status : plan.interim) {
      const Fields fields{{":status", std::to_string(status)}, {"x-interim", "yes"}};
      const auto nv = to_nv(fields);
      nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, stream, nullptr, nv.data(), nv.size(),
                             nullptr);
    }
    if (plan.end == Plan::End::reset_by_origin) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if (plan.push) push(stream, plan);
    Fields fields{{":status", std::to_string(plan.status)}};
    fields.insert(fields.end(), plan.response.begin(), plan.response.end());
    const auto nv = to_nv(fields);
    origin_.bodies[stream] = {plan.answer, 0, plan.trailers};
    nghttp2_data_provider body{{0}, read_body};
    const bool bare = plan.answer.empty() && plan.trailers.empty();
    nghttp2_submit_response(session, stream, nv.data(), nv.size(), bare ? nullptr : &body);
  }

  void push(int32_t stream, const Plan& plan) {
    Fields fields{{":method", "GET"},
                  {":scheme", "https"},
                  {":authority", "api.example"},
                  {":path", "/pushed"}};
    fields.insert(fields.end(), plan.request.begin(), plan.request.end());
    auto nv = to_nv(fields);
    const int32_t promised = nghttp2_submit_push_promise(origin_.session, NGHTTP2_FLAG_NONE, stream,
                                                         nv.data(), nv.size(), nullptr);
    if (promised < 0) return;
    Fields answer{{":status", "200"}, {"x-pushed", plan.path}};
    nv = to_nv(answer);
    origin_.bodies[promised] = {"pushed bytes", 0, {}};
    nghttp2_data_provider body{{0}, read_body};
    nghttp2_submit_response(origin_.session, promised, nv.data(), nv.size(), &body);
  }

  // What `from` has to say goes to `to` first and is then shown to the observer, as in the relay,
  // in pieces of random size.
  void pass(End& from, End& to) {
    std::string out;
    const uint8_t* data = nullptr;
    for (ssize_t size; (size = nghttp2_session_mem_send(from.session, &data)) > 0;) {
      out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    }
    Bytes rest = as_bytes(out);
    while (!rest.empty()) {
      const size_t most = random_() % 4 == 0 ? 12 : 20000;
      const size_t size = std::min<size_t>(rest.size(), 1 + random_() % most);
      const std::vector<uint8_t> piece(rest.begin(),
                                       rest.begin() + static_cast<std::ptrdiff_t>(size));
      rest = rest.subspan(size);
      const auto got = nghttp2_session_mem_recv(to.session, piece.data(), piece.size());
      if (got != static_cast<ssize_t>(piece.size())) FAIL("nghttp2: " << got);
      const auto seen =
          from.is_client ? observer_.from_client(piece) : observer_.from_origin(piece);
      if (!seen) FAIL(describe(seen.error()));
    }
  }

  bool busy() {
    return nghttp2_session_want_write(client_.session) != 0 ||
           nghttp2_session_want_write(origin_.session) != 0;
  }

  const Setup setup_;
  std::mt19937 random_;
  End client_, origin_;
  http::H2Observer observer_;
};

std::string list(const Fields& fields) {
  std::string all;
  for (const http::Header& field : fields) all += "\n  " + field.name + ": " + field.value;
  return all;
}

// What the observer must have said of a stream, given what its ends received.
std::string expected(const Plan& plan, const std::string& answered) {
  std::string text = plan.upload.empty() ? "> GET " : "> POST ";
  text += plan.path + " @api.example" + list(plan.request) + "\n";
  if (!plan.upload.empty()) text += "> '" + plan.upload + "'\n";
  text += ">.\n";
  const std::string interim = [&] {
    std::string all;
    for (const int status : plan.interim) all += "< interim " + std::to_string(status) + "\n";
    return all;
  }();
  if (plan.end == Plan::End::reset_by_origin) return text + "reset\n";
  text += interim + "< " + std::to_string(plan.status) + list(plan.response) + "\n";
  if (!answered.empty()) text += "< '" + answered + "'\n";
  if (!plan.trailers.empty()) text += "< trailers x-trailer=" + plan.trailers[0].value + "\n";
  return text + "complete\n";
}

void check(const Setup& setup) {
  Connection connection(setup);
  connection.run();
  REQUIRE(connection.told.exchanges.size() == connection.plans.size());
  http::ExchangeId id = 0;
  int cancelled = 0;
  for (const auto& [stream, number] : connection.plan_of) {
    const Plan& plan = connection.plans[number];
    const std::string& told = connection.told.exchanges[++id];
    const std::string& answered = connection.answered[stream];
    CAPTURE(stream, number);
    if (plan.end == Plan::End::reset_by_client && told.ends_with("client_abort\n")) {
      // It ends somewhere in the answer: told is a beginning of what would have been.
      ++cancelled;
      Plan whole = plan;
      whole.trailers.clear();
      const std::string all = expected(whole, plan.answer);
      const std::string head =
          told.substr(0, told.size() - std::string("'\nclient_abort\n").size());
      CHECK(all.starts_with(head));
      CHECK(head.size() >= all.find("\n< " + std::to_string(plan.status)));
      continue;
    }
    // (Behind its own reset the client no longer listens; what the origin sent was whole.)
    if (plan.end == Plan::End::whole) {
      const bool received = answered == plan.answer && connection.uploaded[stream] == plan.upload;
      CHECK(received);
    }
    const bool same = told == expected(plan, plan.answer) ||
                      // A reset may overtake the interim answers before it.
                      (plan.end == Plan::End::reset_by_origin && told.ends_with("\nreset\n") &&
                       told.starts_with(expected(plan, "").substr(
                           0, expected(plan, "").size() - std::string("reset\n").size())));
    if (!same) UNSCOPED_INFO(told.substr(0, 600) << "\n---\n" << expected(plan, "").substr(0, 600));
    REQUIRE(same);
  }
  if (setup.streams >= 300) CHECK(cancelled > 0);
}

TEST_CASE("connections of nghttp2 with every table size") {
  Setup setup;
  setup.client_table = GENERATE(0U, 1U, 100U, 4096U, 65536U);
  setup.origin_table = GENERATE(0U, 256U, 4096U, 65536U);
  setup.later_table = GENERATE(0U, 2000U, 65536U);
  setup.seed = setup.client_table * 7 + setup.origin_table * 3 + setup.later_table;
  setup.streams = 40;
  setup.padding = setup.seed % 2 == 0;
  setup.pushes = setup.seed % 3 == 0;
  CAPTURE(setup.client_table, setup.origin_table, setup.later_table);
  check(setup);
}

TEST_CASE("connections of nghttp2 with hundreds of streams") {
  Setup setup;
  setup.seed = GENERATE(1U, 2U, 3U, 4U);
  setup.streams = 400;
  setup.padding = setup.seed == 2;
  setup.pushes = setup.seed >= 3;
  setup.client_table = setup.seed == 4 ? 65536 : 4096;
  setup.later_table = setup.seed == 4 ? 128 : 16384;
  CAPTURE(setup.seed);
  check(setup);
}

}  // namespace
}  // namespace hm::test
