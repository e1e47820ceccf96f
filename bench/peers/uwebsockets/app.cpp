// The application that uWebSockets runs in the comparison: a raw echo, a raw fan-out, and as much of SocketCluster's
// protocol (version 2) as the load generator speaks, scanned by hand. As fast as we can make it: no JSON library, no
// allocation per message, one copy of the data into the answer. It does less than a server of ours: it keeps no
// sessions, validates no JSON, sends no heartbeats and knows no limits. All of that is in its favour.
//
// Prints "listening on 127.0.0.1:PORT" and serves until it is killed.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "App.h"

namespace {

// Longer than any run's backlog: nothing may be dropped, since drops would look like speed.
constexpr unsigned int BACKPRESSURE_BYTES_MAX = 64 * 1024 * 1024;
constexpr unsigned int MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

struct Nothing {};

inline const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        ++at;
    }
    return at;
}

// The end of a string whose opening quote lies before `at`: past the closing quote, or null.
inline const char *skip_string(const char *at, const char *end) {
    const char *begin = at;
    while ((at = static_cast<const char *>(memchr(at, '"', static_cast<size_t>(end - at))))) {
        const char *back = at;
        while (back > begin && back[-1] == '\\') {
            --back;
        }
        ++at;
        if (((at - 1 - back) & 1) == 0) {
            return at;
        }
    }
    return nullptr;
}

inline const char *skip_value(const char *at, const char *end) {
    if (at == end) {
        return nullptr;
    }
    if (*at == '"') {
        return skip_string(at + 1, end);
    }
    if (*at == '{' || *at == '[') {
        int depth = 0;
        while (at < end) {
            switch (*at++) {
                case '{':
                case '[':
                    ++depth;
                    break;
                case '}':
                case ']':
                    if (--depth == 0) {
                        return at;
                    }
                    break;
                case '"':
                    if (!(at = skip_string(at, end))) {
                        return nullptr;
                    }
                    break;
                default:
                    break;
            }
        }
        return nullptr;
    }
    const char *begin = at;
    while (at < end && *at != ',' && *at != '}' && *at != ']' && *at > ' ') {
        ++at;
    }
    return at > begin ? at : nullptr;
}

// Tells the members of an object: each key without its quotes, each value as it stands.
template <typename Tell>
inline bool members(std::string_view text, Tell tell) {
    const char *end = text.data() + text.size();
    const char *at = skip_space(text.data(), end);
    if (at == end || *at++ != '{') {
        return false;
    }
    for (;;) {
        at = skip_space(at, end);
        if (at == end || *at++ != '"') {
            return false;
        }
        const char *key = at;
        if (!(at = skip_string(at, end))) {
            return false;
        }
        std::string_view name(key, static_cast<size_t>(at - 1 - key));
        at = skip_space(at, end);
        if (at == end || *at++ != ':') {
            return false;
        }
        at = skip_space(at, end);
        const char *value = at;
        if (!(at = skip_value(at, end))) {
            return false;
        }
        tell(name, std::string_view(value, static_cast<size_t>(at - value)));
        at = skip_space(at, end);
        if (at == end) {
            return false;
        }
        if (*at == '}') {
            return true;
        }
        if (*at++ != ',') {
            return false;
        }
    }
}

inline std::string_view unquoted(std::string_view value) {
    return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : std::string_view();
}

// One answer at a time is written, by the one thread there is.
std::string answer;
uint64_t random_state = 0x9e3779b97f4a7c15;

// Twenty characters for a socket's id.
inline void append_id(std::string &out) {
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int half = 0; half < 2; ++half) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        for (int at = 0; at < 10; ++at) {
            out.push_back(LETTERS[(random_state >> (6 * at)) & 63]);
        }
    }
}

inline std::string &answer_to(std::string_view call) {
    answer.assign("{\"rid\":", 7);
    answer.append(call);
    return answer;
}

template <typename Socket>
void socketcluster(uWS::App *app, Socket *socket, std::string_view text, uWS::OpCode code) {
    std::string_view event, call, data;
    // A pong is an empty message.
    bool is_packet = !text.empty() && members(text, [&](std::string_view name, std::string_view value) {
        if (name == "event") {
            event = unquoted(value);
        } else if (name == "cid") {
            call = value;
        } else if (name == "data") {
            data = value;
        }
    });
    if (!is_packet || event.empty()) {
        return;
    }
    if (event[0] != '#') {
        if (event == "app.echo") {
            std::string &out = answer_to(call);
            if (!data.empty()) {
                out.append(",\"data\":", 8).append(data);
            }
            out.push_back('}');
        } else {
            answer_to(call).append(",\"error\":{\"message\":\"no such action\",\"name\":\"UnknownActionError\"}}");
        }
    } else if (event == "#publish") {
        std::string_view channel, payload;
        members(data, [&](std::string_view name, std::string_view value) {
            if (name == "channel") {
                channel = unquoted(value);
            } else if (name == "data") {
                payload = value;
            }
        });
        answer.assign("{\"event\":\"#publish\",\"data\":{\"channel\":\"");
        answer.append(channel);
        if (payload.empty()) {
            answer.append("\"}}");
        } else {
            answer.append("\",\"data\":").append(payload).append("}}");
        }
        app->publish(channel, answer, code);
        answer_to(call).push_back('}');
    } else if (event == "#subscribe") {
        std::string_view channel = unquoted(data);
        members(data, [&](std::string_view name, std::string_view value) {
            if (name == "channel") {
                channel = unquoted(value);
            }
        });
        socket->subscribe(channel);
        answer_to(call).push_back('}');
    } else if (event == "#handshake") {
        answer_to(call).append(",\"data\":{\"id\":\"");
        append_id(answer);
        answer.append("\",\"pingTimeout\":20000,\"isAuthenticated\":false}}");
    } else {
        answer_to(call).append(",\"error\":{\"message\":\"not here\",\"name\":\"InvalidActionError\"}}");
    }
    if (!call.empty()) {
        socket->send(answer, code);
    }
}

uWS::App::WebSocketBehavior<Nothing> behavior() {
    return {
        .compression = uWS::DISABLED,
        .maxPayloadLength = MESSAGE_BYTES_MAX,
        .idleTimeout = 120,
        .maxBackpressure = BACKPRESSURE_BYTES_MAX,
        // What was dropped would be no loss in the server's time but one in the generator's count: it must show.
        .closeOnBackpressureLimit = true,
        .sendPingsAutomatically = false,
    };
}

}  // namespace

int main() {
    uWS::App app;
    answer.reserve(1 << 20);

    auto echo = behavior();
    echo.message = [](auto *socket, std::string_view message, uWS::OpCode code) { socket->send(message, code); };

    auto fanout = behavior();
    fanout.open = [](auto *socket) { socket->subscribe("all"); };
    fanout.message = [&app](auto *, std::string_view message, uWS::OpCode code) { app.publish("all", message, code); };

    auto cluster = behavior();
    cluster.message = [&app](auto *socket, std::string_view message, uWS::OpCode code) {
        socketcluster(&app, socket, message, code);
    };

    app.ws<Nothing>("/echo", std::move(echo))
        .ws<Nothing>("/fanout", std::move(fanout))
        .ws<Nothing>("/socketcluster/", std::move(cluster))
        .listen("127.0.0.1", 0, LIBUS_LISTEN_EXCLUSIVE_PORT, [](auto *socket) {
            if (!socket) {
                fprintf(stderr, "cannot listen\n");
                exit(1);
            }
            printf("listening on 127.0.0.1:%d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t *>(socket)));
            fflush(stdout);
        })
        .run();
    return 1;
}
