-- What wrk sends. Arguments: what, path before, path after (of a GET) or mark of this run (of a POST), file of equally long records that
-- stand between, their length. Without a file the path is always the same.
local threads = 0

-- Each thread has a state of its own, with number as a global in it.
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  local what, before, mark, file, length = args[1], args[2], args[3], args[4], tonumber(args[5])
  local host = wrk.headers["Host"]
  local pick = function() return "" end
  if file then
    local handle = assert(io.open(file, "rb"))
    local data = handle:read("*a")
    handle:close()
    local count = #data / length
    assert(count >= 1 and count == math.floor(count), file .. " has no whole records")
    math.randomseed(os.time() * 64 + number)
    pick = function()
      local at = math.random(0, count - 1) * length
      return data:sub(at + 1, at + length)
    end
  end
  local serial = 0
  local function body(method, path, text)
    return method .. " " .. path .. " HTTP/1.1\r\nHost: " .. host .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #text .. "\r\n\r\n" .. text
  end
  local tail = " HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n"
  if what == "POST" then
    request = function()
      serial = serial + 1
      return body("POST", before, '{"name":"Bench ' .. serial .. '","email":"bench-' .. mark .. "-" .. number .. "-" .. serial .. '@bench.invalid"}')
    end
  elseif what == "PUT" then
    request = function()
      serial = serial + 1
      return body("PUT", before .. pick(), '{"name":"Bench ' .. serial .. '"}')
    end
  else
    request = function() return "GET " .. before .. pick() .. tail end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\nRESULT {"requests":%d,"micros":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), e.connect, e.read, e.write, e.status, e.timeout))
end
