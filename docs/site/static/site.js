/* A page that was opened as a file may not read others, and the search would fail at their summaries. */
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
