// Reads a page for a model: its text, its elements by number, and what has changed on it.
//
// It runs in a world of its own, at the start of every document: scripts of the page can neither call nor
// change it. Everything that it gives back is bounded, however large the page is.
(() => {
  if (globalThis.reader) return;
  const MOST_NUMBERS = 1000, MOST_ELEMENTS = 50000, MOST_DEPTH = 600, MOST_CHANGES = 30;
  const NAME_CHARS = 80, CHANGE_CHARS = 200, HREF_CHARS = 120, MOST_OPTIONS = 20;
  const FIELD = 'input:not([type=hidden]), textarea, select, button, [contenteditable=""],' +
    ' [contenteditable=true], [role=textbox], [role=searchbox], [role=combobox], [role=checkbox],' +
    ' [role=radio], [role=switch], [role=button]';
  const OTHER = 'a[href], summary, [role=link], [role=tab], [role=menuitem], [role=option], [onclick]';
  const SKIPPED = new Set(['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE', 'HEAD', 'SVG', 'CANVAS', 'OBJECT']);
  const INLINE = new Set(('A ABBR B BUTTON CITE CODE DEL DFN EM FONT I INS KBD LABEL MARK Q S SAMP SMALL ' +
    'IMG INPUT SPAN STRONG SUB SUP TIME U VAR WBR').split(' '));
  const WHOLE = 'a, button, input, textarea, select';  // their description says all there is in them

  const numbers = new WeakMap();
  let next = 1, added = [], gone = 0, count = 0, isKnown = false;

  const tidy = (text) => text.replace(/[\s\u0000-\u001f\u007f]+/g, ' ').trim();
  const cut = (text, limit) => (text.length > limit ? text.slice(0, limit) + '...' : text);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const inside = (element) => (element.shadowRoot ?? element).childNodes;
  const isRead = (element) => !SKIPPED.has(element.tagName.toUpperCase()) && isShown(element);

  function* elements(root, depth = 0) {
    for (const child of inside(root)) {
      if (child.nodeType !== 1 || SKIPPED.has(child.tagName.toUpperCase())) continue;
      yield child;
      if (depth < MOST_DEPTH) yield* elements(child, depth + 1);
    }
  }

  // Numbers go in the order of the document, and an element keeps its own as long as the document lives.
  function numbered() {
    let seen = 0;
    for (const element of document.body ? elements(document.body) : []) {
      if (++seen > MOST_ELEMENTS || next > MOST_NUMBERS) break;
      if (numbers.has(element)) continue;
      if (element.hasAttribute('mmid')) element.removeAttribute('mmid');  // the page's own invention
      if (!element.matches(`${FIELD}, ${OTHER}`) || !isShown(element)) continue;
      numbers.set(element, next);
      element.setAttribute('mmid', String(next++));
    }
  }

  function textOf(node, limit, depth = 0) {
    if (node.nodeType === 3) return node.data.slice(0, limit * 4);
    let text = '';
    if (node.nodeType !== 1 || depth > MOST_DEPTH || !isRead(node)) return text;
    for (const child of inside(node)) {
      text += ' ' + textOf(child, limit, depth + 1);
      if (text.length > limit * 4) break;
    }
    return text;
  }

  function nameOf(element) {
    const label = element.labels?.[0] ? textOf(element.labels[0], NAME_CHARS) : '';
    const isButton = ['submit', 'button', 'reset'].includes(element.type) && element.tagName === 'INPUT';
    const own = element.matches('input, textarea, select') ? '' : textOf(element, NAME_CHARS);
    const said = [element.getAttribute('aria-label'), label, isButton ? element.value : '', own,
      element.getAttribute('placeholder'), element.getAttribute('alt'), element.getAttribute('title'),
      element.querySelector?.('img[alt]')?.getAttribute('alt'), element.getAttribute('name')];
    return cut(tidy(said.find((text) => text && tidy(text)) ?? ''), NAME_CHARS);
  }

  function roleOf(element) {
    const tag = element.tagName, role = tidy(element.getAttribute('role') ?? '').slice(0, 20);
    if (tag === 'A') return 'link';
    if (tag === 'SELECT') return 'choice';
    if (tag === 'BUTTON' || ['submit', 'button', 'reset', 'image'].includes(element.type)) return 'button';
    if (tag === 'INPUT' && ['checkbox', 'radio'].includes(element.type)) return element.type;
    if (tag === 'INPUT' || tag === 'TEXTAREA' || element.isContentEditable) return 'field';
    return role || 'clickable';
  }

  function factsOf(element) {
    const facts = [], role = roleOf(element);
    if (role === 'field' && element.type === 'password') facts.push(element.value ? 'filled' : 'empty');
    else if (role === 'field') facts.push(`holds "${cut(tidy(element.value ?? ''), NAME_CHARS)}"`);
    if (role === 'choice') {
      const options = [...element.options].slice(0, MOST_OPTIONS).map((each) => `"${cut(tidy(each.label), 40)}"`);
      facts.push(`holds "${cut(tidy(element.selectedOptions[0]?.label ?? ''), 40)}"`, `of ${options.join(', ')}`);
    }
    if (role === 'link') facts.push(`to ${cut(tidy(element.getAttribute('href') ?? ''), HREF_CHARS)}`);
    if (element.checked) facts.push('checked');
    if (element.disabled) facts.push('disabled');
    const expanded = element.getAttribute('aria-expanded');
    if (expanded) facts.push(expanded === 'true' ? 'expanded' : 'collapsed');
    return facts.length ? ' ' + facts.join(', ') : '';
  }

  const described = (element) =>
    `[${numbers.get(element)}] ${roleOf(element)} "${nameOf(element)}"${factsOf(element)}`;

  class Lines {
    constructor(limit) { Object.assign(this, { limit, lines: [], size: 0, open: '' }); }
    get isFull() { return this.size + this.open.length > this.limit; }
    say(text) { this.open += text.slice(0, this.limit); }
    end() {
      const line = tidy(this.open);
      this.open = '';
      if (line) { this.lines.push(line); this.size += line.length + 1; }
    }
  }

  function read(node, content, to, depth) {
    for (const child of inside(node)) {
      if (to.isFull || depth > MOST_DEPTH) return;
      if (child.nodeType === 3 && content !== 'input_fields') to.say(child.data);
      if (child.nodeType !== 1 || !isRead(child)) continue;
      if (child.tagName === 'IFRAME') { to.end(); to.say('(a frame, which is not read)'); to.end(); continue; }
      const isListed = content === 'all_fields' ? numbers.has(child)
        : content === 'input_fields' && numbers.has(child) && child.matches(FIELD);
      if (isListed) { to.end(); to.say(described(child)); to.end(); }
      if (isListed ? child.matches(WHOLE) : child.matches('textarea, select')) continue;
      const isBlock = !INLINE.has(child.tagName);
      if (isBlock) to.end();
      read(child, content, to, depth + 1);
      if (isBlock) to.end();
    }
  }

  function distilled(content, limit) {
    numbered();
    const to = new Lines(limit);
    if (document.body) read(document.body, content, to, 0);
    to.end();
    return { text: to.lines.join('\n').slice(0, limit), is_cut: to.isFull };
  }

  const observer = new MutationObserver((records) => {
    for (const record of records) {
      count += 1;
      gone += record.removedNodes.length;
      const news = record.type === 'childList' ? [...record.addedNodes].slice(0, MOST_CHANGES) : [record.target];
      for (const node of news) if (added.length < MOST_CHANGES && !added.includes(node)) added.push(node);
    }
  });
  let isObserving = false;
  // What is there before the document is parsed is no change, and watching it would take seconds.
  function observe() {
    if (isObserving) return;
    isObserving = true;
    observer.observe(document, {
      subtree: true, childList: true, characterData: true, attributes: true,
      attributeFilter: ['hidden', 'disabled', 'open', 'class', 'style', 'aria-expanded', 'aria-hidden'],
    });
  }
  window.addEventListener('DOMContentLoaded', observe, true);

  const isSeen = (node) => node.isConnected && (node.nodeType === 3 ? node.parentElement && isRead(node.parentElement)
    : node.nodeType === 1 && isRead(node));

  // What is new since the last time it was asked for; of a document that was never asked for: all is new.
  function changes() {
    observe();
    numbered();
    const seen = added.filter(isSeen);
    const outer = seen.filter((node) => !seen.some((other) => other !== node && other.contains(node)));
    const say = (node) => (numbers.has(node) ? described(node) : cut(tidy(textOf(node, CHANGE_CHARS)), CHANGE_CHARS));
    const found = { is_new: !isKnown, news: [...new Set(outer.map(say))].filter(Boolean), gone };
    added = []; gone = 0; isKnown = true;
    return { ...found, url: location.href.slice(0, 2000), title: cut(tidy(document.title), NAME_CHARS) };
  }

  // A link or form that asks for a new window gets this one.
  function stay(number) {
    const element = [...document.querySelectorAll(`[mmid="${number}"]`)][0];
    for (const asks of [element?.closest('a'), element?.form]) asks?.setAttribute('target', '_self');
  }

  const still = new CSSStyleSheet();
  still.replaceSync('*, ::before, ::after { animation: none !important; transition: none !important }');
  document.adoptedStyleSheets = [still];
  // What tells one moment from another; nothing while the document is not complete.
  function moment() {
    if (document.readyState !== 'complete') return null;
    observe();
    return count;
  }

  globalThis.reader = { changes, moment, distilled, stay };
})();
