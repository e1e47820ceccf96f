// What the pages have in common: a column that shows what is said, and a form to say something. How it gets to the server
// and back is each page's own.
//
//   const chat = open('Library', message => library.send(message))
//   chat.hear(message)    when { from, text } arrives
//   chat.state('open')    when the library is connected; anything else is said as it is

const MESSAGES_MAX = 500 // older ones leave the page

export function open(library, send) {
  document.title = `${library} · SocketShard`
  const [state, log, form, input, button] = ['state', 'log', 'form', 'text', 'send'].map(make)
  form.append(input, button)
  document.body.append(bar(library, state), log, form)
  document.body.classList.add('colour')
  document.body.style.setProperty('--hue', hue(library))

  form.addEventListener('submit', event => {
    event.preventDefault()
    const text = input.value.trim()
    if (text) send({ from: library, text })
    input.value = ''
    input.focus()
  })

  return {
    hear({ from, text }) {
      const item = document.createElement('li')
      item.className = from === library ? 'own colour' : 'colour'
      item.style.setProperty('--hue', hue(from))
      item.append(part('span', 'from', from), part('span', 'text', text))
      log.append(item)
      if (log.children.length > MESSAGES_MAX) log.firstElementChild.remove()
      log.scrollTop = log.scrollHeight
    },
    state(said) {
      const isOpen = said === 'open'
      state.toggleAttribute('data-open', isOpen)
      state.textContent = isOpen ? 'connected' : said
      input.disabled = button.disabled = !isOpen
    },
  }
}

function make(id) {
  const made = document.createElement({ state: 'span', log: 'ol', form: 'form', text: 'input', send: 'button' }[id])
  made.id = id
  if (id === 'state') made.textContent = 'connecting'
  if (id === 'log') made.setAttribute('role', 'log')
  if (id === 'text') Object.assign(made, { placeholder: 'Say something', autocomplete: 'off', maxLength: 500, disabled: true })
  if (id === 'send') Object.assign(made, { textContent: 'Send', disabled: true })
  return made
}

function bar(library, state) {
  const made = part('header', 'bar')
  made.append(part('h1', '', library), state)
  return made
}

// Text is set as text, whoever it is from.
function part(tag, className, text = '') {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  return made
}

// The eight libraries of the example are 40 degrees apart.
function hue(text) {
  let sum = 0
  for (const character of text) sum = (sum * 48 + character.codePointAt(0) * 140) % 360
  return sum
}
