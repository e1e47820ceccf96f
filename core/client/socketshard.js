// SocketShard's client for browsers: one connection, actions called by name, channels. It speaks SocketCluster's
// protocol, version 2, and comes back by itself with its subscriptions when the connection is lost. It never keeps what
// could not be sent for longer than a call may take, and never evaluates anything that it receives.
//
//   const socket = new SocketShard()
//   socket.addEventListener('state', event => console.log(event.detail.state))
//   await socket.invoke('app.square', 25)                            // 625
//   await socket.subscribe('chat', message => console.log(message))
//   await socket.publish('chat', { text: 'hello' })

const CALL_TIMEOUT_MS = 10_000 // as long as the server lets an action take
const HANDSHAKE_TIMEOUT_MS = 10_000
const WAITING_CALLS_MAX = 1_000 // calls kept while there is no connection, and calls without an answer
const RETRY_FIRST_MS = 500
const RETRY_MAX_MS = 30_000
const PONG = ''
const PINGS = new Map([['', PONG], ['#1', '#2'], ['1', '2']])

// Close codes of the protocol: the first come back at once, the second never.
const RETRY_AT_ONCE = new Set([4000, 4001, 1005])
const isFinal = code => code === 1000 || code >= 4500

export class SocketShard extends EventTarget {
  #url
  #webSocket = null
  #state = 'closed'
  #nextCall = 1
  #calls = new Map() // id -> { resolve, reject, timer, text, isSent }, in the order they were made
  #channels = new Map() // name -> { listeners, joining: the answer to the last #subscribe }
  #failures = 0
  #pingTimeoutMs = HANDSHAKE_TIMEOUT_MS
  #watchdog = 0
  #retryTimer = 0
  #isWanted = false

  constructor(url = defaultUrl()) {
    super()
    this.#url = url
    globalThis.addEventListener?.('online', () => this.#retryNow())
    this.connect()
  }

  /** 'closed', 'connecting' or 'open'. */
  get state() {
    return this.#state
  }

  connect() {
    this.#isWanted = true
    if (this.#state === 'closed') this.#open()
  }

  close(code = 1000, reason = '') {
    this.#isWanted = false
    clearTimeout(this.#retryTimer)
    if (this.#webSocket) this.#webSocket.close(code, reason)
    else this.#setState('closed', { code, retryMs: null })
  }

  /** Calls an action. The promise has its answer, or its error with the server's name, message and properties. */
  invoke(action, data) {
    return this.#call(action, data)
  }

  /** Publishes to a channel; resolves when the server has accepted it. */
  publish(channel, data) {
    return this.#call('#publish', { channel, data })
  }

  /** Joins a channel, now and after every reconnect. Resolves to a function that stops this listener. */
  async subscribe(channel, listener) {
    let known = this.#channels.get(channel)
    if (!known) {
      known = { listeners: new Set(), joining: null }
      this.#channels.set(channel, known)
    }
    known.listeners.add(listener)
    const stop = () => this.#stop(channel, listener)
    if (this.#state === 'open') {
      known.joining ??= this.#call('#subscribe', { channel })
      try {
        await known.joining
      } catch (error) {
        if (error.name !== 'BadConnectionError') {
          this.#channels.delete(channel)
          throw error
        }
      }
    }
    return stop
  }

  #stop(channel, listener) {
    const known = this.#channels.get(channel)
    if (!known?.listeners.delete(listener) || known.listeners.size > 0) return
    this.#channels.delete(channel)
    if (this.#state === 'open') this.#call('#unsubscribe', channel).catch(() => {})
  }

  #open() {
    clearTimeout(this.#retryTimer)
    this.#setState('connecting')
    const webSocket = new WebSocket(this.#url)
    this.#webSocket = webSocket
    this.#pingTimeoutMs = HANDSHAKE_TIMEOUT_MS
    this.#watch(4007)
    webSocket.onopen = () => {
      if (webSocket !== this.#webSocket) return
      const call = this.#nextCall++
      const text = JSON.stringify({ event: '#handshake', data: { authToken: null }, cid: call })
      this.#calls.set(call, {
        isSent: true,
        text,
        timer: 0,
        resolve: data => this.#opened(data),
        reject: () => webSocket.close(4003),
      })
      webSocket.send(text)
    }
    webSocket.onmessage = event => {
      if (webSocket === this.#webSocket) this.#receive(event.data)
    }
    webSocket.onclose = event => this.#closed(webSocket, event.code, event.reason)
  }

  #opened(data) {
    this.#pingTimeoutMs = data.pingTimeout
    this.#watch(4000)
    this.#failures = 0
    this.#setState('open', { id: data.id })
    for (const [channel, known] of this.#channels) {
      known.joining = this.#call('#subscribe', { channel })
      known.joining.catch(error => {
        if (error.name !== 'BadConnectionError') this.#kickedOut(channel, error.message)
      })
    }
    for (const call of this.#calls.values()) this.#send(call)
  }

  #closed(webSocket, code, reason) {
    if (webSocket !== this.#webSocket) return
    this.#webSocket = null
    clearTimeout(this.#watchdog)
    for (const known of this.#channels.values()) known.joining = null
    // What was sent may have been done: the caller must decide. What was not waits for the next connection.
    for (const [id, call] of this.#calls) {
      if (!call.isSent) continue
      this.#calls.delete(id)
      clearTimeout(call.timer)
      call.reject(failure('BadConnectionError', `the connection was lost (${code})`))
    }
    if (!this.#isWanted || isFinal(code)) {
      this.#isWanted = false
      this.#setState('closed', { code, reason, retryMs: null })
      return
    }
    // Doubling, with a jitter that spreads the clients of a restarted server over half of the delay.
    const atOnce = RETRY_AT_ONCE.has(code) && this.#failures === 0
    const delay = atOnce ? 250 : Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#failures, 10))
    const retryMs = Math.round(delay * (0.5 + Math.random() / 2))
    this.#failures += 1
    this.#retryTimer = setTimeout(() => this.#open(), retryMs)
    this.#setState('closed', { code, reason, retryMs })
  }

  #retryNow() {
    if (this.#isWanted && this.#state === 'closed') this.#open()
  }

  /** Only pings count as signs of life: the server sends them whatever else it sends. */
  #watch(code) {
    clearTimeout(this.#watchdog)
    const webSocket = this.#webSocket
    this.#watchdog = setTimeout(() => {
      webSocket.close(code)
      // A dead network never answers the close: do not wait for it.
      this.#closed(webSocket, code, '')
    }, this.#pingTimeoutMs)
  }

  #receive(text) {
    const pong = PINGS.get(text)
    if (pong !== undefined) {
      this.#webSocket.send(pong)
      this.#watch(4000)
      return
    }
    let packet
    try {
      packet = JSON.parse(text)
    } catch {
      return
    }
    for (const one of Array.isArray(packet) ? packet : [packet]) this.#handle(one)
  }

  #handle(packet) {
    if (packet === null || typeof packet !== 'object') return
    if (packet.rid !== undefined) {
      const call = this.#calls.get(packet.rid)
      if (!call) return
      this.#calls.delete(packet.rid)
      clearTimeout(call.timer)
      if (packet.error === undefined || packet.error === null) call.resolve(packet.data)
      else call.reject(failureOf(packet.error))
      return
    }
    const { event, data } = packet
    if (event === '#publish') {
      for (const listener of this.#channels.get(data.channel)?.listeners ?? []) listener(data.data, data.channel)
    } else if (event === '#kickOut') {
      this.#kickedOut(data.channel, data.message)
    } else if (typeof event === 'string' && !event.startsWith('#')) {
      this.dispatchEvent(new CustomEvent('event', { detail: { event, data } }))
    }
  }

  #kickedOut(channel, message) {
    this.#channels.delete(channel)
    this.dispatchEvent(new CustomEvent('kickout', { detail: { channel, message } }))
  }

  #call(event, data) {
    return new Promise((resolve, reject) => {
      if (this.#calls.size >= WAITING_CALLS_MAX) {
        reject(failure('TooManyCallsError', `more than ${WAITING_CALLS_MAX} calls are waiting`))
        return
      }
      const id = this.#nextCall++
      const timer = setTimeout(() => {
        this.#calls.delete(id)
        reject(failure('TimeoutError', `${event} was not answered in time`))
      }, CALL_TIMEOUT_MS)
      const call = { resolve, reject, timer, text: JSON.stringify({ event, data, cid: id }), isSent: false }
      this.#calls.set(id, call)
      if (this.#state === 'open') this.#send(call)
    })
  }

  #send(call) {
    if (call.isSent) return
    call.isSent = true
    this.#webSocket.send(call.text)
  }

  #setState(state, detail = {}) {
    this.#state = state
    this.dispatchEvent(new CustomEvent('state', { detail: { state, ...detail } }))
  }
}

function defaultUrl() {
  const { protocol, host } = globalThis.location
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/socketcluster/`
}

function failure(name, message) {
  const error = new Error(message)
  error.name = name
  return error
}

function failureOf(error) {
  if (typeof error === 'string') return failure('Error', error)
  return Object.assign(failure(String(error.name ?? 'Error'), String(error.message ?? '')), error)
}
