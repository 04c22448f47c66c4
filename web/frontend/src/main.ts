// Start the page on the source that it comes with: chunks in an exported file, or the server.

import { mount } from 'svelte';
import { embeddedSource } from './source/embedded.ts';
import { HttpSource, takeToken } from './source/http.ts';
import { linkTo, router } from './state/route.svelte.ts';
import type { Source } from './source/source.ts';
import App from './ui/App.svelte';
import './ui/style.css';

const source: Source =
    embeddedSource(document) ?? new HttpSource(takeToken(location, history, sessionStorage));
router.read();
if (source.only && router.route.page === 'runs') router.become(linkTo('run', source.only));
mount(App, { target: document.getElementById('app') as HTMLElement, props: { source } });
