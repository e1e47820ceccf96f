// The demo page's own part: what to do with what arrives, and what to send. All text from other tabs is set as text.

import { SocketShard } from '/socketshard.js'

const CHANNEL = 'demo.chat'
const TYPING_CHANNEL = 'demo.chat.typing'
const MESSAGES_MAX = 500 // older ones leave the page
const TYPING_SHOWN_MS = 3_000
const TYPING_SENT_EVERY_MS = 1_500
const LATENCY_EVERY_MS = 5_000
const GROUP_WITHIN_MS = 120_000

const element = id => document.getElementById(id)
const [log, scroll, empty, jump, typing, trouble] = ['log', 'scroll', 'empty', 'jump', 'typing', 'trouble'].map(element)
const [message, send, name, avatar] = ['message', 'send', 'name', 'avatar'].map(element)
const [status, shard, latency, count, drop] = ['status', 'shard', 'latency', 'count', 'drop'].map(element)
const [square, squareResult] = ['square', 'square-result'].map(element)

const tab = crypto.getRandomValues(new Uint32Array(2)).join('-')
const socket = new SocketShard()
let received = 0
let lastMessage = null
let shardNumber = null

// Names: one for each tab, so that two tabs of one browser are two people.

const ADJECTIVES = ['Quiet', 'Bright', 'Swift', 'Gentle', 'Bold', 'Merry', 'Calm', 'Keen', 'Lucky', 'Witty']
const ANIMALS = ['Heron', 'Otter', 'Lynx', 'Finch', 'Badger', 'Dolphin', 'Fox', 'Owl', 'Marten', 'Hare']
const pick = list => list[crypto.getRandomValues(new Uint32Array(1))[0] % list.length]

name.value = sessionStorage.getItem('name') ?? `${pick(ADJECTIVES)} ${pick(ANIMALS)}`
name.addEventListener('input', showName)
name.addEventListener('change', () => {
  if (!name.value.trim()) name.value = `${pick(ADJECTIVES)} ${pick(ANIMALS)}`
  showName()
})
showName()

function showName() {
  sessionStorage.setItem('name', name.value)
  paint(avatar, name.value)
}

function paint(target, text) {
  const words = text.trim().split(/\s+/).filter(Boolean)
  const initials = words.slice(0, 2).map(word => [...word][0]).join('')
  target.textContent = initials.toLocaleUpperCase() || '?'
  let hue = 0
  for (const character of text) hue = (hue * 31 + character.codePointAt(0)) % 360
  target.style.setProperty('--hue', hue)
}

// The connection.

socket.addEventListener('state', ({ detail }) => {
  status.dataset.state = detail.state
  status.textContent = stateText(detail)
  send.disabled = drop.disabled = detail.state !== 'open'
  if (detail.state === 'open') opened()
  else shard.textContent = latency.textContent = '–'
})

function stateText({ state, retryMs }) {
  if (state === 'open') return 'connected'
  if (state === 'connecting') return 'connecting'
  return retryMs === null ? 'disconnected' : 'reconnecting'
}

async function opened() {
  trouble.textContent = ''
  const previous = shardNumber
  try {
    shardNumber = await socket.invoke('app.shard')
  } catch {
    return // the connection is gone again; the next one asks anew
  }
  shard.textContent = shardNumber
  if (previous !== null) note(`back on shard ${shardNumber}`)
  measure()
  calculate()
}

async function measure() {
  if (socket.state !== 'open' || document.hidden) return
  // The best of three: the first also waits for what the page itself is busy with.
  let best = Infinity
  try {
    for (let round = 0; round < 3; round += 1) {
      const start = performance.now()
      await socket.invoke('app.echo', null)
      best = Math.min(best, performance.now() - start)
    }
  } catch {
    return
  }
  latency.textContent = `${best < 10 ? best.toFixed(1) : Math.round(best)} ms`
}
setInterval(measure, LATENCY_EVERY_MS)

drop.addEventListener('click', () => {
  socket.invoke('app.drop').catch(error => { trouble.textContent = error.message })
})

// Messages.

socket.subscribe(CHANNEL, show).catch(error => { trouble.textContent = error.message })

function show(data) {
  // Anybody may publish anything to an open channel.
  if (typeof data?.text !== 'string' || typeof data.name !== 'string') return
  received += 1
  count.textContent = received
  typists.delete(data.tab)
  showTypists()

  const now = Date.now()
  const isOwn = data.tab === tab
  const follows = lastMessage?.tab === data.tab && lastMessage.name === data.name && now - lastMessage.at < GROUP_WITHIN_MS
  lastMessage = { tab: data.tab, name: data.name, at: now }

  const item = document.createElement('li')
  item.className = 'message'
  item.classList.toggle('own', isOwn)
  item.classList.toggle('follows', follows)
  const face = part('span', 'avatar')
  paint(face, data.name.slice(0, 32))
  face.setAttribute('aria-hidden', 'true')
  const about = part('div', 'about')
  const time = part('time', '', new Date(now).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }))
  time.dateTime = new Date(now).toISOString()
  about.append(part('span', 'author', data.name.slice(0, 32)), time)
  if (Number.isInteger(data.shard)) about.append(part('span', 'from', `from shard ${data.shard}`))
  item.append(face, about, part('p', 'text', data.text.slice(0, 2000)))
  append(item, isOwn)
}

function note(text) {
  lastMessage = null
  append(part('li', 'note', text), false)
}

function part(tag, className, text = '') {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  return made
}

function append(item, isOwn) {
  const isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80
  empty.hidden = true
  log.append(item)
  while (log.children.length > MESSAGES_MAX) log.firstElementChild.remove()
  if (isAtEnd || isOwn) toEnd()
  else jump.hidden = false
}

function toEnd() {
  scroll.scrollTop = scroll.scrollHeight
  jump.hidden = true
}

jump.addEventListener('click', toEnd)
scroll.addEventListener('scroll', () => {
  if (scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80) jump.hidden = true
})

element('compose').addEventListener('submit', async event => {
  event.preventDefault()
  const text = message.value.trim()
  if (!text || socket.state !== 'open') return
  message.value = ''
  lastTypingSent = 0
  message.focus()
  try {
    await socket.publish(CHANNEL, { tab, name: name.value.trim() || 'Somebody', text, shard: shardNumber })
    trouble.textContent = ''
  } catch (error) {
    // Given back to be sent again, unless something else was typed meanwhile.
    message.value ||= text
    trouble.textContent = `Not sent: ${error.message}`
  }
})

message.addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  element('compose').requestSubmit()
})

// Who is typing.

const typists = new Map() // tab -> { name, timer }
let lastTypingSent = 0

message.addEventListener('input', () => {
  if (!message.value || socket.state !== 'open' || Date.now() - lastTypingSent < TYPING_SENT_EVERY_MS) return
  lastTypingSent = Date.now()
  socket.publish(TYPING_CHANNEL, { tab, name: name.value.trim() || 'Somebody' }).catch(() => {})
})

socket.subscribe(TYPING_CHANNEL, data => {
  if (typeof data?.name !== 'string' || typeof data.tab !== 'string' || data.tab === tab) return
  if (typists.size >= 50 && !typists.has(data.tab)) return
  clearTimeout(typists.get(data.tab)?.timer)
  const timer = setTimeout(() => {
    typists.delete(data.tab)
    showTypists()
  }, TYPING_SHOWN_MS)
  typists.set(data.tab, { name: data.name.slice(0, 32), timer })
  showTypists()
}).catch(() => {})

function showTypists() {
  const names = [...typists.values()].map(typist => typist.name)
  if (names.length === 0) typing.textContent = ''
  else if (names.length === 1) typing.textContent = `${names[0]} is typing…`
  else if (names.length === 2) typing.textContent = `${names[0]} and ${names[1]} are typing…`
  else typing.textContent = `${names.length} people are typing…`
}

// The calculator.

let lastCalculation = 0

async function calculate() {
  const calculation = ++lastCalculation
  const text = square.value.trim().replace(',', '.')
  if (!text || socket.state !== 'open') {
    squareResult.textContent = '–'
    return
  }
  // What is no number is sent as the text that it is: the server's error is worth seeing.
  const argument = Number.isFinite(Number(text)) ? Number(text) : text
  let result
  let failed = false
  try {
    result = await socket.invoke('app.square', argument)
  } catch (error) {
    result = error.message
    failed = true
  }
  if (calculation !== lastCalculation) return
  squareResult.textContent = result
  squareResult.classList.toggle('failed', failed)
}

square.addEventListener('input', calculate)
element('calculator').addEventListener('submit', event => {
  event.preventDefault()
  calculate()
})
