// The whole shop: what it sells, the list of results, and the page of one lamp.
const LAMPS = {
  brass: { name: 'Brass lamp', about: 'A yellow lamp for the desk.', price: '42 euros' },
  glass: { name: 'Glass lamp', about: 'A blue lamp for the wall.', price: '65 euros' },
  paper: { name: 'Paper lamp', about: 'A white lamp for the ceiling.', price: '18 euros' },
};
const asked = new URLSearchParams(location.search);
const found = document.getElementById('found');
if (found) {
  const word = (asked.get('q') ?? '').trim().toLowerCase();
  for (const [id, lamp] of Object.entries(LAMPS)) {
    if (!`${lamp.name} ${lamp.about}`.toLowerCase().includes(word)) continue;
    const link = document.createElement('a');
    link.href = `lamp.html?id=${id}`;
    link.textContent = lamp.name;
    found.appendChild(document.createElement('li')).append(link, `: ${lamp.about}`);
  }
  if (!found.children.length) found.textContent = 'Nothing was found.';
}
const lamp = LAMPS[asked.get('id')];
const ask = document.getElementById('ask');
if (lamp && ask) {
  document.getElementById('name').textContent = document.title = lamp.name;
  document.getElementById('about').textContent = lamp.about;
  ask.hidden = false;
  ask.addEventListener('click', () => setTimeout(() => {
    document.getElementById('price').textContent = `It costs ${lamp.price}.`;
  }, 200));
}
