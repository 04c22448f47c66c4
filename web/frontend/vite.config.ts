import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// One script and one style sheet under fixed names: the build is committed, and `git diff` must show
// that it fits its source. The export inlines the same two files.
export default defineConfig(({ mode }) => ({
    plugins: [svelte()],
    base: './',
    build: {
        outDir: '../agentflow_web/static',
        emptyOutDir: true,
        modulePreload: false,
        minify: mode !== 'development',
        cssCodeSplit: false,
        assetsInlineLimit: 0,
        target: 'es2022',
        rollupOptions: {
            output: {
                entryFileNames: 'app.js',
                assetFileNames: 'app.[ext]',
                codeSplitting: false,
            },
        },
    },
}));
