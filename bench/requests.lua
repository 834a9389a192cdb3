-- wrk sends the prepared requests of one file (see requests.py) and says at the end how that went, as JSON.

local thread_of_load

function setup(thread)
  thread_of_load = thread
end

function init(args)
  file = assert(io.open(args[1], "rb"))
  taken = 0
  exhausted = false
  -- wrk asks for one request before it begins, to look at it, and never sends it.
  looked = false
end

local function take()
  local length = file:read(8)
  if not length then
    exhausted = true
    return "GET /exhausted HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
  end
  taken = taken + 1
  return file:read(tonumber(length))
end

function request()
  if not looked then
    looked = true
    return "GET /looked-at HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
  end
  return take()
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "refused": %d, "lost": %d, "duration_us": %d, "sent": %d, "exhausted": %s, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration, thread_of_load:get("taken"), tostring(thread_of_load:get("exhausted")),
    latency:percentile(50), latency:percentile(99)))
end
