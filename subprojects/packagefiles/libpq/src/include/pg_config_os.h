/* Linux: only the server needs anything here */
