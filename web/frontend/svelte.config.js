import { relative } from 'node:path';
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

const BASE_36_OF_FOUR = 36 ** 4;
const named = new Map();

/** Return a short class for a component's styles: the same on every machine, and no other component's. */
function cssHash({ hash, filename }) {
    const file = relative(import.meta.dirname, filename).replaceAll('\\', '/');
    const name = `s${(Number.parseInt(hash(file), 36) % BASE_36_OF_FOUR).toString(36)}`;
    if ((named.get(name) ?? file) !== file) throw new Error(`${file} and ${named.get(name)} share ${name}`);
    named.set(name, file);
    return name;
}

export default { preprocess: vitePreprocess(), compilerOptions: { cssHash } };
